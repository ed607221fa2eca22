"""The demo's clips: clean and tempting, a disease claim, replica talk, a QR code, a price that cannot be."""

from __future__ import annotations

from moderation.clips.make import Caption, ClipPlan, Code


def demo_plans() -> tuple[ClipPlan, ...]:
    """Five short clips; what is planted in them is written here, and nothing of it is used anywhere else."""
    return (
        ClipPlan(
            name="tea_clean",
            duration_s=9,
            scene="bunny",
            captions=(
                Caption(0.5, 3.5, "山里人家自己喝的大麦茶"),
                Caption(4, 8.5, "本品是茶不是药\n不能代替药物治病", style="banner", size=34),
                Caption(0.5, 8.5, "最佳赏味期 十二个月", style="small", size=18, at=(0.5, 0.93)),
            ),
            metadata={
                "title": "大麦茶 独立小包 到手三十包",
                "category": "food",
                "price": 29.9,
                "currency": "CNY",
                "language": "zh",
            },
            notes="clean and tempting: a real denial, a hint on time",
        ),
        ClipPlan(
            name="tea_cure",
            duration_s=10,
            captions=(
                Caption(0.5, 3, "奶奶每天早上泡一杯"),
                Caption(3, 6.5, "喝了两个月 糖尿病彻底好了", style="banner", size=36),
                Caption(6.5, 9.5, "胰岛素都停了 无效全额退款"),
            ),
            metadata={
                "title": "桑叶苦瓜茶",
                "category": "food",
                "price": 68.0,
                "currency": "CNY",
                "language": "zh",
            },
            labels={
                "medical_claim": [(3, 6.5, "screen"), (6.5, 9.5, "screen")],
                "efficacy_guarantee": [(6.5, 9.5, "screen")],
            },
            notes="a disease claim and a refund for no effect",
        ),
        ClipPlan(
            name="shoes_replica",
            duration_s=9,
            seed=3,
            captions=(
                Caption(0.5, 4, "莆田厂家直发 纯原版本"),
                Caption(4.5, 8.5, "一比一复刻 过毒没问题", style="banner"),
            ),
            metadata={
                "title": "潮流板鞋 专柜同款",
                "category": "footwear",
                "price": 168.0,
                "currency": "CNY",
                "language": "zh",
            },
            labels={"counterfeit_term": [(0.5, 4, "screen"), (4.5, 8.5, "screen")]},
            notes="replica talk, coded and open",
        ),
        ClipPlan(
            name="dress_qr",
            duration_s=9,
            scene="bunny",
            seed=5,
            captions=(
                Caption(0.5, 4, "秋款针织裙 三个颜色"),
                Caption(4, 8.5, "扫码加微信 私下更便宜", at=(0.5, 0.86)),
            ),
            codes=(Code(4, 8.5, "https://u.wechat.com/EXAMPLEonlyForTheDemo", side=190, at=(0.72, 0.24)),),
            metadata={
                "title": "针织连衣裙",
                "category": "apparel",
                "price": 129.0,
                "currency": "CNY",
                "language": "zh",
            },
            labels={
                "off_platform_diversion": [(4, 8.5, "screen")],
                "qr_code_diversion": [(4, 8.5, "visual")],
            },
            notes="a code that leads to a chat, and an invitation in words",
        ),
        ClipPlan(
            name="bag_price",
            duration_s=7,
            seed=9,
            captions=(Caption(0.5, 6.5, "今天到手价 199 元"),),
            metadata={
                "title": "古驰 女士单肩包 全新",
                "category": "bags",
                "price": 199.0,
                "currency": "CNY",
                "language": "zh",
            },
            labels={"brand_unauthorised": [(0, 7, "title")], "price_anomaly": [(0, 7, "metadata")]},
            notes="a luxury brand in the title without authorisation, far below its floor price",
        ),
    )
