"""Planted episodes over all text labels, each with a clean twin that is meant to tempt.

The wording was written from the policy alone, without looking at the lexicon, so that it measures and does not
repeat it. An episode's clip must be held for its label; its twin must pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, islice, zip_longest
from typing import Literal

from moderation.clips.make import Caption, ClipPlan, Code, Truth


@dataclass(frozen=True, slots=True)
class Episode:
    """One violation and its look-alike, for goods of one category."""

    label: str
    category: str
    text: str
    twin: str
    source: Literal["screen", "title"] = "screen"
    language: Literal["zh", "en"] = "zh"


EPISODES: tuple[Episode, ...] = (
    Episode("absolute_term", "appliance", "全国最好的电饭锅就是它", "最好先淘两遍米再煮"),
    Episode("absolute_term", "cosmetics", "国家级保湿面霜", "国家一级博物馆联名款式"),
    Episode("absolute_term", "home", "世界第一的记忆棉枕头", "第一步先拆掉外包装"),
    Episode("absolute_term", "food", "史上最香的辣椒酱", "今年最后一批辣椒下周到", "title"),
    Episode("absolute_term", "bags", "顶级工艺 独一无二", "本店尺寸最大的一款是黑色"),
    Episode("absolute_term", "home", "The best mattress in the world", "Best enjoyed within two weeks", language="en"),
    Episode("medical_claim", "food", "每天一勺 三高全降下来", "每天一勺 拌饭拌面都香"),
    Episode("medical_claim", "health_food", "吃了半年结节都消失了", "结节患者请先去医院检查"),
    Episode("medical_claim", "home", "这个枕头能治颈椎病", "枕头高度十二厘米可调"),
    Episode("medical_claim", "jewellery", "戴上手环失眠不治而愈", "手环可以查看睡眠时长"),
    Episode("medical_claim", "cosmetics", "涂一涂湿疹就断根", "湿疹皮肤请先咨询医生再使用", "title"),
    Episode("medical_claim", "food", "This honey heals stomach ulcers", "This honey is great on toast", language="en"),
    Episode("efficacy_guarantee", "cosmetics", "用七天细纹全没有 没用退钱", "用之前先做耳后测试"),
    Episode("efficacy_guarantee", "food", "一个月保证瘦二十斤", "一个月的量 二十小包"),
    Episode("efficacy_guarantee", "cosmetics", "绝对没有任何副作用", "如有不适请立即停用"),
    Episode("efficacy_guarantee", "home", "喷一次永不复发 无效包赔", "不喜欢七天内可以退货"),
    Episode("efficacy_guarantee", "cosmetics", "三天祛斑 百分百有效", "三天内发货 百分百棉柔巾", "title"),
    Episode("efficacy_guarantee", "cosmetics", "Wrinkles gone in 3 days guaranteed", "Apply for 3 days and rest one", language="en"),
    Episode("income_guarantee", "finance", "跟着我做 稳赚不赔", "投资有风险 入市需谨慎"),
    Episode("income_guarantee", "finance", "每天躺着就能赚五百块", "每天记账五分钟的小本子"),
    Episode("income_guarantee", "education", "学会剪辑轻松月入三万", "剪辑课一共三十节"),
    Episode("income_guarantee", "finance", "本金零风险 年化百分之三十", "本产品不保证本金和收益"),
    Episode("income_guarantee", "other", "宝妈在家打字 当天就能提现八百", "客服岗位招聘 月薪六千交五险", "title"),
    Episode("income_guarantee", "finance", "Earn $500 a day from home, zero risk", "Past results do not predict returns", language="en"),
    Episode("education_guarantee", "education", "报名就包过 不过全额退费", "课程共四十讲 可以回放"),
    Episode("education_guarantee", "education", "一个月保证提高一百分", "提分多少因人而异 我们不做承诺"),
    Episode("education_guarantee", "education", "内部名额 百分百拿证", "考试时间以官方公布为准"),
    Episode("education_guarantee", "education", "零基础包你考上公务员", "零基础也能听懂的公务员课", "title"),
    Episode("education_guarantee", "education", "Pass the exam guaranteed or it is free", "Twelve practice exams inside", language="en"),
    Episode("price_deception", "jewellery", "原价九万八 今天只要九十八", "原价九十八 今天八十八"),
    Episode("price_deception", "appliance", "全网最低价 别处买不到", "今天领券再减十块"),
    Episode("price_deception", "apparel", "历史最低 明天恢复三千元", "换季清仓 六折起"),
    Episode("price_deception", "home", "市场价五千 直播间十九块九", "两件包邮十九块九", "title"),
    Episode("price_deception", "electronics", "Lowest price on the internet, ever", "Ten percent off this weekend", language="en"),
    Episode("authority_endorsement", "health_food", "301医院专家都推荐的钙片", "请把药放在孩子拿不到的地方"),
    Episode("authority_endorsement", "food", "国宴特供酒 内部流出", "这道菜的做法来自家乡宴席"),
    Episode("authority_endorsement", "cosmetics", "央视力荐 国货之光面膜", "昨晚的新闻联播你看了吗"),
    Episode("authority_endorsement", "food", "人民大会堂指定用油", "包装上有绿色食品标志", "title"),
    Episode("authority_endorsement", "health_food", "Doctors at the army hospital recommend it", "Ask your doctor before use", language="en"),
    Episode("off_platform_diversion", "apparel", "想要便宜的加我微信私聊", "付款可以用微信支付"),
    Episode("off_platform_diversion", "bags", "加V看更多款 主页有号", "加购物车再付款"),
    Episode("off_platform_diversion", "footwear", "私下转账便宜一百", "请不要相信私下转账的人"),
    Episode("off_platform_diversion", "home", "进裙领优惠 扣扣群号看评论", "进直播间左下角领券", "title"),
    Episode("off_platform_diversion", "electronics", "Add me on WhatsApp for a lower price", "Chat with customer service in the app", language="en"),
    Episode("prohibited_goods", "other", "一次性小烟 西瓜味现货", "油烟机清洗剂 西瓜味"),
    Episode("prohibited_goods", "drug", "处方药不用医生 直接发货", "处方药须凭医生处方购买"),
    Episode("prohibited_goods", "other", "各类证件 办证刻章 快速出证", "证件照换底色小技巧"),
    Episode("prohibited_goods", "jewellery", "真象牙手串 老料", "象牙白的手串 亚克力材质"),
    Episode("prohibited_goods", "electronics", "微型偷拍摄像头 隐藏在钟里", "摄像头会亮灯提醒正在录像", "title"),
    Episode("prohibited_goods", "other", "Fake driving licence, real database", "Toy licence plate for kids", language="en"),
    Episode("disparagement", "apparel", "别家都是黑心棉 只有我家真材实料", "我家老款是薄棉 新款加厚了"),
    Episode("disparagement", "appliance", "隔壁主播卖的全是垃圾", "垃圾袋加厚款今天有货"),
    Episode("disparagement", "cosmetics", "某大牌就是智商税 根本没用", "这瓶比上一代多了十毫升"),
    Episode("disparagement", "food", "同行的蜂蜜全是假的", "蜂蜜结晶是正常现象", "title"),
    Episode("superstition", "jewellery", "戴上转运珠 财运马上来", "转运珠是金色的圆珠款式"),
    Episode("superstition", "home", "摆一个貔貅 招财挡灾", "貔貅是传说中的瑞兽"),
    Episode("superstition", "jewellery", "开光手串 保佑你桃花不断", "桃花开了 春天的颜色"),
    Episode("superstition", "home", "改风水 旺宅旺夫的摆件", "祝大家新年财源广进", "title"),
    Episode("counterfeit_term", "footwear", "莆田高端版 和正品一模一样", "莆田的枇杷今天发货"),
    Episode("counterfeit_term", "bags", "高仿一比一 专柜验货没问题", "高仿真绿植 不用浇水"),
    Episode("counterfeit_term", "apparel", "原单尾货 剪标处理", "原单位同事都说好看"),
    Episode("counterfeit_term", "jewellery", "超A复刻 机芯都一样", "1比1冲泡 多加一勺就甜", "title"),
    Episode("counterfeit_term", "bags", "1:1 replica, passes any check", "We never sell replicas", language="en"),
)  # fmt: skip

_LINES_A_CLIP = 4
_LINE_S, _PAUSE_S = 2.4, 0.4
_STYLES = ("outline", "banner")


def episode_plans() -> list[ClipPlan]:
    """Clips of up to four captions and one title, all for goods of one category; their twins follow."""
    plans = []
    for category, group in groupby(sorted(EPISODES, key=lambda e: e.category), key=lambda e: e.category):
        found = list(group)
        captions, titles = [e for e in found if e.source == "screen"], [e for e in found if e.source == "title"]
        for number, (lines, title) in enumerate(zip_longest(_batches(captions), titles, fillvalue=None)):
            plans += [
                _plan(f"{category}_{number}", category, lines, title, clean=clean, seed=len(plans))
                for clean in (False, True)
            ]
    plans.append(_code_plan("code", "https://u.wechat.com/EXAMPLEonlyForTests", clean=False))
    plans.append(_code_plan("code_clean", None, clean=True))
    return plans


def _batches(lines: list[Episode]) -> Iterator[list[Episode]]:
    iterator = iter(lines)
    while batch := list(islice(iterator, _LINES_A_CLIP)):
        yield batch


def _plan(
    name: str, category: str, lines: list[Episode] | None, title: Episode | None, *, clean: bool, seed: int
) -> ClipPlan:
    captions, labels = [], Truth()
    start = 0.3
    for number, episode in enumerate(lines or ()):
        end = start + _LINE_S
        text = episode.twin if clean else episode.text
        size = 30 if episode.language == "en" else 36
        captions.append(Caption(round(start, 2), round(end, 2), text, _STYLES[number % 2], size, (0.5, 0.75)))
        if not clean:
            labels.setdefault(episode.label, []).append((round(start, 2), round(end, 2), "screen"))
        start = end + _PAUSE_S
    if title is not None and not clean:
        labels.setdefault(title.label, []).append((0.0, round(start, 2), "title"))
    words = "日常好物" if title is None else title.twin if clean else title.text
    return ClipPlan(
        name=f"{name}_clean" if clean else name,
        duration_s=max(round(start, 1), 2.0),
        captions=tuple(captions),
        metadata={"title": words, "category": category, "qualifications": list(_LICENCES.get(category, ()))},
        labels=labels,
        scene=("bikes", "bunny")[seed // 2 % 2],
        seed=seed,
        crf=30,
    )


def _code_plan(name: str, payload: str | None, *, clean: bool) -> ClipPlan:
    code = () if payload is None else (Code(1.0, 4.0, payload, side=170, at=(0.7, 0.25)),)
    return ClipPlan(
        name=name,
        duration_s=5,
        captions=(Caption(0.5, 4.5, "秋冬新款针织衫"),),
        codes=code,
        metadata={"title": "针织衫", "category": "apparel"},
        labels={} if clean else {"qr_code_diversion": [(1.0, 4.0, "visual")]},
    )


# So that a licence that is missing does not hold a clean clip.
_LICENCES = {
    "drug": ("国药准字H20013062", "粤药广审（文）第250301-00123号"),
    "health_food": ("国食健注G20230001", "食健备G202344000001"),
    "cosmetics": ("国妆特字20230001", "粤G妆网备字2023000001"),
    "electronics": ("3C:2023010907123456",),
    "appliance": ("3C:2023010907123456",),
    "food": ("SC10132011500123",),
}
