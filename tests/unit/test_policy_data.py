"""The shipped brands, licences and code patterns do what they say."""

from __future__ import annotations

import re
from typing import TypeVar

import pytest
from pydantic import BaseModel

from moderation.metadata import VideoMetadata, parse_metadata
from moderation.policy.brands import BrandWords, brand_findings
from moderation.policy.codes import code_findings
from moderation.policy.document import Document, read_document, validate
from moderation.policy.goods import price_findings, qualification_findings
from moderation.policy.load import shipped_policy
from moderation.policy.schema import Brand, BrandsFile, PolicyFile, QualificationRule, QualificationsFile
from moderation.text.normalise import normalise
from moderation.types import Box, Utterance
from moderation.visual.qr import CodeSighting

Model = TypeVar("Model", bound=BaseModel)


def shipped(name: str, model: type[Model]) -> Model:
    """One file of the policy by itself: its tests do not wait for the lexicon."""
    document = read_document(shipped_policy() / name)
    assert isinstance(document, Document), document
    checked = validate(document, model)
    assert not isinstance(checked, list), [str(m) for m in checked]
    return checked


BRANDS = shipped("brands.yaml", BrandsFile).brands
RULES = shipped("policy.yaml", PolicyFile)
QUALIFICATIONS = shipped("qualifications.yaml", QualificationsFile)
WORDS = BrandWords(BRANDS, RULES.brand_words)
CCC = "3C:2023010907123456"


def meta(**values: object) -> VideoMetadata:
    return parse_metadata(values, where="test")


def named(title: str, **values: object) -> list[str]:
    given = meta(title=title, **values)
    findings = brand_findings(WORDS, RULES.brand_words, given.utterances(), given)
    return [f.how.split()[1] for f in findings]


def said(*texts: str) -> list[str]:
    utterances = [Utterance(text, "speech", float(i), i + 1.0) for i, text in enumerate(texts)]
    return [f.how.split()[1] for f in brand_findings(WORDS, RULES.brand_words, utterances, meta())]


def anomaly(title: str, category: str, price: float, **values: object) -> list[float]:
    given = meta(title=title, category=category, price=price, **values)
    return [f.score for f in price_findings(WORDS, RULES.price, given)]


def missing(category: str, title: str, *qualifications: str) -> list[str]:
    given = meta(category=category, title=title, qualifications=list(qualifications))
    return [f.text or "" for f in qualification_findings(QUALIFICATIONS, RULES.qualification_score, given)]


class TestBrands:
    def test_there_are_many_and_no_two_share_a_name(self) -> None:
        assert len(BRANDS) >= 220
        owners: dict[str, str] = {}
        for brand in BRANDS:
            for name in {re.sub(r"\s", "", normalise(n).text) for n in brand.names}:
                assert name, brand.key
                assert owners.setdefault(name, brand.key) == brand.key, name

    @pytest.mark.parametrize("brand", BRANDS, ids=lambda b: b.key)
    def test_each_name_is_found_and_authorises(self, brand: Brand) -> None:
        category = brand.categories[0]
        for name in brand.names:
            title = f"{name} {brand.context[0]}" if name in brand.ambiguous else f"{name} 新款"
            found = {m.brand.key for m in WORDS.mentions(Utterance(title, "title"), category)}
            assert brand.key in found, title
            assert WORDS.keys([name]) == {brand.key}
            assert WORDS.keys([name.upper()]) == {brand.key}
            assert brand.key not in named(title, category=category, authorised_brands=[name])
        assert WORDS.keys([brand.key]) == {brand.key}

    @pytest.mark.parametrize("brand", [b for b in BRANDS if b.allow], ids=lambda b: b.key)
    def test_each_innocent_phrase_is_innocent(self, brand: Brand) -> None:
        for phrase in brand.allow:
            title = f"{phrase}{brand.context[0] if brand.ambiguous else ''}"
            found = {m.brand.key for m in WORDS.mentions(Utterance(title, "title"))}
            # A context word may hold a name itself.
            if not any(n in normalise(title).text.replace(normalise(phrase).text, "") for n in brand.names):
                assert brand.key not in found, title

    @pytest.mark.parametrize("brand", [b for b in BRANDS if b.floor_price], ids=lambda b: b.key)
    def test_a_floor_belongs_to_goods_that_the_brand_makes(self, brand: Brand) -> None:
        assert set(brand.floor_price) <= set(brand.categories)

    @pytest.mark.parametrize(
        ("title", "category"),
        [
            ("鲜榨苹果汁 无添加 整箱", "food"), ("陕西红富士苹果 脆甜多汁 带箱十斤", "food"),
            ("小米粥原料 山西黄小米五斤", "food"), ("小米辣 鲜辣椒 两斤装", "food"), ("手工红米饭团", "food"),
            ("美的生活从一束鲜花开始", "home"), ("老板娘亲手做的辣酱", "food"), ("完美的收纳方案 抽屉分隔盒", "home"),
            ("春季小香风外套 粗花呢短款", "apparel"), ("polo衫 男士短袖 纯棉", "apparel"),
            ("顺丰包邮 沙漠骆驼色大衣", "apparel"), ("宝贝亲肤纯棉睡衣 A类面料", "baby"),
            ("音乐高音谱号挂件", "home"), ("清新秀丽碎花连衣裙", "apparel"), ("牛肉丸美味火锅食材", "food"),
            ("奥林匹克纪念徽章", "other"), ("平安踏青 儿童风筝", "other"), ("这个地方太小 折叠书桌", "home"),
            ("妥善存放 真空压缩袋", "home"), ("形象印章 企业定制", "other"), ("上海信纸 复古信封", "home"),
            ("健康佳品 坚果礼盒", "food"), ("大宝贝保温饭盒", "baby"), ("潘多拉魔盒 解谜书", "other"),
            ("omega-3 亚麻籽油 冷榨", "food"), ("三叶草种子 庭院绿植", "home"), ("双喜临门 结婚喜糖盒", "home"),
            ("伯爵红茶 独立茶包", "food"), ("独特步骤 折纸教程", "education"), ("棉质 lining 外套内衬布", "other"),
            ("派克大衣 冬季加厚", "apparel"), ("iphone15手机壳 防摔", "electronics"),
            ("飞跃山谷 儿童绘本", "education"),
        ],
    )  # fmt: skip
    def test_ordinary_goods_name_no_brand(self, title: str, category: str) -> None:
        assert named(title, category=category) == []

    @pytest.mark.parametrize(
        ("title", "category", "brand", "authorised"),
        [
            ("路易威登 老花托特包", "bags", "louis-vuitton", "LV"),
            ("LV包包 女士斜挎", "bags", "louis-vuitton", "Louis Vuitton"),
            ("GUCCI 马衔扣链条包", "bags", "gucci", "古驰"), ("香奈儿 流浪包", "bags", "chanel", "Chanel"),
            ("愛馬仕 真丝丝巾", "apparel", "hermes", "HERMES"), ("蔻驰托特包", "bags", "coach", "coach"),
            ("coach 老花手袋", "bags", "coach", "蔻驰"), ("劳力士 绿水鬼腕表", "jewellery", "rolex", "Rolex"),
            ("梵克雅宝 四叶草项链", "jewellery", "van-cleef", "Van Cleef & Arpels"),
            ("NIKE跑鞋 男款", "footwear", "nike", "耐克"),
            ("耐克 air jordan 1 高帮", "footwear", "nike", "Nike/耐克"),
            ("阿迪达斯 贝壳头", "footwear", "adidas", "阿迪达斯（ADIDAS）"),
            ("newbalance 老爹鞋", "footwear", "new-balance", "新百伦"),
            ("Lululemon 瑜伽裤 高腰", "apparel", "lululemon", "露露乐蒙"),
            ("始祖鸟冲锋衣 硬壳", "apparel", "arcteryx", "arc’teryx"),
            ("北面羽绒服 1996", "apparel", "north-face", "The North Face"),
            ("兰蔻 小黑瓶精华", "cosmetics", "lancome", "Lancôme"),
            ("SK-II 神仙水 230ml", "cosmetics", "sk-ii", "sk2"),
            ("iPhone15 Pro 256g 国行", "electronics", "apple", "苹果"),
            ("苹果手机 全新未拆", "electronics", "apple", "APPLE"),
            ("小米手机14 ultra", "electronics", "xiaomi", "Xiaomi"),
            ("戴森 吹风机 HD15", "appliance", "dyson", "DYSON"), ("美的空调 一级能效", "appliance", "midea", "Midea"),
            ("老板油烟机 大吸力", "appliance", "robam", "ROBAM"), ("贵州茅台 53度 500ml", "food", "moutai", "茅台"),
            ("五粮液 普五 第八代", "food", "wuliangye", "五粮液"), ("飞鹤星飞帆 三段", "baby", "feihe", "飞鹤"),
            ("乐高 城市组 60316", "baby", "lego", "LEGO"), ("LABUBU 坐坐派对 盲盒", "other", "pop-mart", "泡泡玛特"),
            ("万宝龙 大班钢笔", "other", "montblanc", "Montblanc"),
            ("捷安特 山地车 24速", "other", "giant-bicycle", "捷安特"),
            ("米其林 轮胎 205/55R16", "other", "michelin", "michelin"),
        ],
    )  # fmt: skip
    def test_a_brand_in_the_title_is_flagged_unless_authorised(
        self, title: str, category: str, brand: str, authorised: str
    ) -> None:
        assert named(title, category=category) == [brand]
        assert named(title, category=category, authorised_brands=["别家", authorised]) == []
        assert named(title, category=category, authorised_brands=["李宁牌坊"]) == [brand]

    @pytest.mark.parametrize("title", ["苹果15promax 国行", "iphone15 128g", "AJ4 黑猫", "2026nike 春款"])
    def test_a_number_may_touch_a_long_name(self, title: str) -> None:
        assert named(title)
        assert named("nlv3 滤芯 mlv8") == []

    def test_the_words_as_they_stood_are_shown(self) -> None:
        given = meta(title="秋款 ＮＩＫＥ 跑鞋")
        (finding,) = brand_findings(WORDS, RULES.brand_words, given.utterances(), given)
        assert finding.text is not None
        assert finding.span is not None
        assert finding.text[slice(*finding.span)] == "ＮＩＫＥ"
        assert finding.normalised == "nike"

    @pytest.mark.parametrize(
        "title",
        ["适用戴森吹风机的支架", "二手耐克 九成新", "比耐克便宜一半", "for iphone 钢化膜", "兼容乐高积木 城堡"],
    )
    def test_accessories_used_goods_and_comparisons_are_none(self, title: str) -> None:
        assert named(title) == []

    @pytest.mark.parametrize("title", ["高性价比 耐克跑鞋", "耐克 比赛训练服", "耐克 芭比粉 跑鞋"])
    def test_a_word_that_holds_bi_is_no_comparison(self, title: str) -> None:
        assert named(title, authorised_brands=["barbie"]) == ["nike"]

    def test_an_innocent_phrase_excuses_only_itself(self) -> None:
        assert named("苹果手机 下单送苹果汁") == ["apple"]
        assert named("小米手机 喝小米粥") == ["xiaomi"]
        assert named("苹果手机15 全新 送手机壳") == ["apple"]

    def test_talk_needs_a_selling_word_or_three_mentions(self) -> None:
        assert said("昨天看见有人背香奈儿") == []
        assert said("这就是香奈儿专柜同款") == ["chanel"]
        assert said("香奈儿来了", "香奈儿看一下", "香奈儿还有两个") == ["chanel"]
        assert said("老板们这个地方太好了，给老板来一单", "老板大气", "老板好") == []

    def test_a_shared_word_is_never_a_finding(self) -> None:
        assert named("POLO 正品 专柜 短袖 衬衫") == []


class TestPrices:
    @pytest.mark.parametrize(
        ("title", "category", "price", "is_low"),
        [
            ("古驰 链条包", "bags", 299, True), ("古驰 链条包", "bags", 12800, False),
            ("劳力士 日志型腕表", "jewellery", 999, True), ("劳力士 日志型腕表", "jewellery", 69800, False),
            ("耐克 跑鞋", "footwear", 59, True), ("耐克 跑鞋", "footwear", 199, False),
            ("耐克 运动袜", "apparel", 29, False), ("贵州茅台 飞天 53度 500ml", "food", 99, True),
            ("飞天茅台 500ml", "food", 1499, False), ("飞天茅台 50ml 小瓶", "food", 299, False),
            ("茅台王子酒", "food", 168, False), ("敦煌飞天 文创冰箱贴", "food", 9, False),
            ("戴森吹风机", "appliance", 199, True), ("加拿大鹅 远征款", "apparel", 399, True),
            ("兰蔻 小黑瓶 50ml", "cosmetics", 29, True), ("大宝 sod蜜", "cosmetics", 9.9, False),
        ],
    )  # fmt: skip
    def test_floor_prices(self, title: str, category: str, price: float, is_low: bool) -> None:
        assert bool(anomaly(title, category, price)) is is_low

    @pytest.mark.parametrize(
        "word", ["二手", "闲置", "中古", "防尘袋", "空盒", "钥匙扣", "包装盒", "吊牌", "配件", "second hand", "used"]
    )
    def test_used_goods_and_accessories_are_exempt(self, word: str) -> None:
        assert anomaly(f"古驰 链条包 {word}", "bags", 99) == []

    def test_a_gift_or_part_of_a_word_does_not_exempt(self) -> None:
        assert anomaly("古驰 链条包 送防尘袋", "bags", 99)
        assert anomaly("gucci bag unused", "bags", 99)
        assert anomaly("兰蔻 小黑瓶精华 50ml 赠小样", "cosmetics", 9)
        assert anomaly("兰蔻 小黑瓶精华 小样 7ml", "cosmetics", 9) == []

    def test_how_far_below_decides_the_score(self) -> None:
        scores = RULES.price.score
        assert anomaly("耐克 跑鞋", "footwear", 120) == [scores.below_floor]
        assert anomaly("耐克 跑鞋", "footwear", 20) == [scores.severe]

    @pytest.mark.parametrize(("currency", "is_low"), [("CNY", True), (None, True), ("USD", False), ("EUR", False)])
    def test_only_cny_is_judged(self, currency: str | None, is_low: bool) -> None:
        assert bool(anomaly("古驰 链条包", "bags", 99, currency=currency)) is is_low

    def test_without_price_or_category_there_is_no_anomaly(self) -> None:
        assert price_findings(WORDS, RULES.price, meta(title="古驰 链条包", price=99.0)) == []
        assert price_findings(WORDS, RULES.price, meta(title="古驰 链条包", category="bags")) == []


def rule_id(rule: QualificationRule) -> str:
    return f"{rule.category}-{rule.needs[0].name}-{rule.when[0] if rule.when else 'always'}"


def rules_met(rule: QualificationRule, title: str, given: str) -> bool:
    """Whether `rule` alone is content."""
    only = QualificationsFile(rules=(rule,))
    values = meta(category=rule.category, title=title, qualifications=[given] if given else [])
    return not qualification_findings(only, 0.7, values)


class TestQualifications:
    def test_the_switches_find_their_names(self) -> None:
        for name in ("drug_registration", "drug_advertisement", "device_registration", "device_advertisement"):
            assert QUALIFICATIONS.named(name), name

    @pytest.mark.parametrize("rule", QUALIFICATIONS.rules, ids=rule_id)
    def test_each_rule_is_triggered_and_satisfied(self, rule: QualificationRule) -> None:
        for word in rule.when or ("好物推荐",):
            assert not rules_met(rule, f"{word} 今日特价", ""), word
            if rule.when:
                assert rules_met(rule, f"好物 送{word}", ""), word
        title = f"{rule.when[0]} 今日特价" if rule.when else "好物推荐"
        for need in rule.needs:
            assert rules_met(rule, title, need.example)
            assert rules_met(rule, title, f"证书：{need.example}（有效）")
            assert not rules_met(rule, title, need.not_example)
        for word in rule.unless:
            assert rules_met(rule, f"{title} {word}", ""), word

    @pytest.mark.parametrize(
        ("category", "title", "given"),
        [
            ("health_food", "钙片", "国食健注G20230042"), ("health_food", "钙片", "国食健字 G20110123"),
            ("health_food", "钙片", "食健备Ｇ２０２１４４００１２３４"),
            ("health_food", "钙片", "卫食健字（2003）第0123号"), ("medical_device", "血压计", "国械注进20182400123"),
            ("medical_device", "创可贴", "粤穗械备20230123"), ("medical_device", "体温计", "粤械注准20192070123"),
            ("cosmetics", "美白精华", "国妆特字G20201234"), ("cosmetics", "防晒霜 spf50", "国妆特进字J20161234"),
            ("cosmetics", "染发膏", "国妆特字20230123"), ("cosmetics", "妆字号面霜", "粤G妆网备字2020123456"),
            ("cosmetics", "妆字号面霜", "国妆网备进字（沪）2021001234"),
            ("electronics", "充电宝 20000毫安", "2023010907123456"),
            ("electronics", "充电宝 20000毫安", "3C：２０２３０１０９０７１２３４５６"),
            ("electronics", "充电宝 20000毫安", "CCC证书 2023 0109 0712 3456"), ("appliance", "电饭煲 4升", CCC),
            ("baby", "婴儿奶粉 1段", "国食注字 YP20170001"), ("food", "散装白酒 60度", "SC10144010500123"),
            ("food", "预包装食品 礼盒", "食品经营许可证 JY14401050012345"),
            ("finance", "小额贷款", "渝金〔2018〕45号"), ("finance", "公募基金", "证监许可〔2015〕123号"),
            ("education", "小学辅导班", "教民111010870000123号"),
        ],
    )  # fmt: skip
    def test_real_numbers_in_the_forms_that_people_write(self, category: str, title: str, given: str) -> None:
        assert missing(category, title)
        assert missing(category, title, given) == []

    @pytest.mark.parametrize(
        ("category", "title", "given"),
        [
            ("electronics", "充电宝", "3C:2023010907xxxx"), ("electronics", "充电宝", "202301090712345"),
            ("electronics", "充电宝", "20230109071234567"), ("health_food", "钙片", "食健备G2021440"),
            ("cosmetics", "美白精华", "粤G妆网备字2020123456"), ("health_food", "钙片", "SC10144010500123"),
        ],
    )  # fmt: skip
    def test_a_number_of_another_form_is_none(self, category: str, title: str, given: str) -> None:
        assert missing(category, title, given)

    def test_a_drug_needs_its_registration_and_its_advertisement(self) -> None:
        assert len(missing("drug", "感冒灵颗粒")) == 2
        assert len(missing("drug", "感冒灵颗粒", "国药准字Z44021940")) == 1
        assert missing("drug", "感冒灵颗粒", "国药准字Z44021940", "粤药广审（文）第250101-00001号") == []
        assert missing("drug", "感冒灵颗粒", "国药准字HJ20171234", "京药广审(视)第2018010001号") == []

    def test_a_device_needs_an_advertisement_number_only_for_a_claim(self) -> None:
        assert missing("medical_device", "电子体温计", "粤械注准20192070123") == []
        assert len(missing("medical_device", "理疗仪 缓解颈椎疼痛", "粤械注准20192070123")) == 1

    @pytest.mark.parametrize(
        ("category", "title"),
        [
            ("cosmetics", "保湿面霜 50g"), ("cosmetics", "粉底液 持久不防脱妆"), ("cosmetics", "眼线笔 防脱色"),
            ("cosmetics", "美白牙膏"), ("food", "农家土鸡蛋 30枚"), ("food", "山东苹果 十斤"), ("food", "手工饼干"),
            ("appliance", "电饭煲内胆"), ("appliance", "空气炸锅纸 100张"), ("appliance", "剃须刀 刀头"),
            ("electronics", "数据线 快充"), ("electronics", "手机支架"), ("electronics", "蓝牙耳机"),
            ("baby", "纯棉口水巾"), ("baby", "毛绒玩具 小熊"), ("baby", "儿童奶粉4段"), ("home", "收纳盒"),
            ("home", "四件套"), ("finance", "记账本"), ("education", "小学辅导书 三年级"),
            ("education", "吉他教学 零基础"), ("apparel", "防晒衣 女"), ("other", "鱼竿"),
            ("home", "无农药 蔬菜种子"), ("bags", "双肩包"), ("jewellery", "925银手链"),
        ],
    )  # fmt: skip
    def test_ordinary_goods_need_none(self, category: str, title: str) -> None:
        assert missing(category, title) == []

    def test_words_do_not_form_across_title_and_description(self) -> None:
        given = meta(category="electronics", title="车载充电", description="宝马车友推荐")
        assert qualification_findings(QUALIFICATIONS, 0.7, given) == []

    def test_only_laws_that_the_policy_names_are_cited(self) -> None:
        laws = [
            "广告法",
            "食品安全法",
            "电子商务法",
            "价格法",
            "商标法",
            "反不正当竞争法",
            "互联网广告管理办法",
            "直播电商监督管理办法",
        ]
        for rule in QUALIFICATIONS.rules:
            for cited in rule.basis.split("；"):
                assert cited.split()[0] in laws or "准入规则" in cited, rule.basis


def code_score(payload: str) -> float:
    sighting = CodeSighting(payload, "QRCode", 0.0, 1.0, Box(0.0, 0.0, 0.1, 0.1))
    (finding,) = code_findings(RULES.qr, [sighting])
    return finding.score


class TestCodes:
    @pytest.mark.parametrize(
        "payload",
        [
            "weixin://dl/chat?wxid_abc123", "weixin:wxid_abc123", "https://u.wechat.com/EAbc123",
            "http://weixin.qq.com/r/abc", "https://weixin.qq.com/g/AbCdEf", "https://work.weixin.qq.com/ca/cawcde123",
            "https://wx.qq.com/x", "https://mp.weixin.qq.com/a/~abc123~~", "wxp://f2f0abcdef",
            "https://wx.tenpay.com/f2f?t=abc", "https://payapp.weixin.qq.com/qr/abc",
            "HTTPS://QR.ALIPAY.COM/FKX00123", "alipays://platformapi/startapp?appId=1",
            "https://qm.qq.com/cgi-bin/qm/qr?k=abc", "https://jq.qq.com/?_wv=1027&k=abc",
            "https://i.qianbao.qq.com/wallet/x", "mqqapi://card/show_pslcard?uin=1",
            "https://servicewechat.com/wx123/0/page", "https://wxaurl.cn/abc", "https://t.me/joinchat/abc",
            "t.me/shop", "https://telegram.me/shop", "tg://resolve?domain=x", "https://wa.me/8613800138000",
            "https://chat.whatsapp.com/abc", "https://line.me/R/ti/p/@shop", "https://lin.ee/abc",
            "https://m.me/shop", "https://discord.gg/abc", "https://discord.com/invite/abc",
            "https://zalo.me/0123456", "https://qr.dingtalk.com/action/joingroup?code=x",
            "dingtalk://dingtalkclient/page/profile", "https://applink.feishu.cn/client/chat",
            "https://open.kakao.com/o/abc", "tel:+8613800138000", "smsto:13800138000:hi", "mailto:a@example.com",
            "MATMSG:TO:a@example.com;;", "MECARD:N:Li;TEL:13800138000;;",
            "BEGIN:VCARD\nVERSION:3.0\nTEL:13800138000\nEND:VCARD", "13800138000", "+86 138-0013-8000", "vx: abc123",
            "ＶＸ：abc123", "QQ群 12345678", "加微abc123", "添加微信 abc123", "扫码进群领福利",
            "https://www.example.com/jump?url=https://u.wechat.com/abc",
            "https://www.example.com/jump?url=https%3A%2F%2Fqr.alipay.com%2Fabc",
        ],
    )  # fmt: skip
    def test_what_leads_to_a_chat_or_a_payment_is_contact(self, payload: str) -> None:
        assert code_score(payload) == RULES.qr.score.contact

    @pytest.mark.parametrize(
        "payload",
        [
            "https://www.example.com/abcwxyz", "https://www.example.com/item/vx100",
            "https://shop.example.com/qq-plush?id=1", "https://item.example.com/detail?wx=1&qq=2",
            "https://start.me/p/abc", "https://www.online.menu/a", "https://report.media/x", "https://pot.me/x",
            "https://airline.me/x", "https://www.example.com/teleport:8", "https://t.me.example.com/x",
            "https://example.com/weixin", "6901234567892", "batch 42", "SN:VX1002938475",
            "https://www.example.com/instructions/model-wx200.pdf", "WIFI:S:shop;T:WPA;P:12345678;;", "支持微信支付",
            "20230115001", "https://line.menu.example/x", "产品型号 QQ120",
            "http://www.example.cn/trace/1380013800012",
        ],
    )  # fmt: skip
    def test_an_ordinary_payload_is_not(self, payload: str) -> None:
        assert code_score(payload) == RULES.qr.score.other
