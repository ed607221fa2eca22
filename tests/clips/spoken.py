"""Spoken episodes: a claim that only the ear meets, and a clean twin. Made where the voice packages are installed.

Written from the policy alone, like the catalogue's captions.
"""

from __future__ import annotations

from dataclasses import dataclass

from moderation.clips.make import RATE, ClipPlan
from moderation.clips.voice import Voice


@dataclass(frozen=True, slots=True)
class SpokenEpisode:
    """Three sentences; the second is the violation, or in the twin what tempts."""

    label: str
    category: str
    before: str
    text: str
    twin: str
    after: str


SPOKEN: tuple[SpokenEpisode, ...] = (
    SpokenEpisode("absolute_term", "home", "这床被子我自己盖了两年。", "这是全国最好的羽绒被。", "最好先晒一晒再装被套。", "一号链接可以看尺寸。"),
    SpokenEpisode("medical_claim", "food", "这个茶早上泡一杯就行。", "喝两个月高血压就治好了。", "高血压的朋友要听医生的话。", "一盒里面有二十包。"),
    SpokenEpisode("efficacy_guarantee", "cosmetics", "这款面霜我一直在用。", "七天不见效全额退款。", "七天以内不喜欢可以退货。", "记得先在耳后试一试。"),
    SpokenEpisode("income_guarantee", "finance", "晚上的课大家记得来听。", "跟着老师做稳赚不赔。", "投资有风险大家要小心。", "课程在左下角的链接里。"),
    SpokenEpisode("education_guarantee", "education", "今天给大家讲考证的事情。", "报名我们班保证一次通过。", "我们不承诺一定能通过考试。", "一共三十节课可以回放。"),
    SpokenEpisode("price_deception", "appliance", "这个锅今天有活动。", "我敢说是全网最低价。", "今天领券可以减十块钱。", "拍下以后明天就发货。"),
    SpokenEpisode("authority_endorsement", "health_food", "这个钙片给爸妈买一瓶。", "中央电视台都推荐过的产品。", "昨天晚上看了中央电视台的晚会。", "每天吃一片就可以了。"),
    SpokenEpisode("off_platform_diversion", "apparel", "这条裙子有三个颜色。", "想要便宜的加我微信。", "付款的时候可以用微信支付。", "尺码表在下面可以看。"),
    SpokenEpisode("prohibited_goods", "other", "今天给大家带来好东西。", "电子烟都有现货可以发。", "请大家不要给孩子买电子烟。", "喜欢的朋友点个关注。"),
    SpokenEpisode("disparagement", "food", "我们家的蜂蜜刚刚到货。", "别人家卖的全是垃圾货。", "蜂蜜结晶是很正常的现象。", "两瓶一起拍更划算。"),
    SpokenEpisode("superstition", "jewellery", "这个手串是红色的。", "戴上它财运马上就来了。", "祝大家新的一年财源广进。", "大小可以自己调节。"),
    SpokenEpisode("counterfeit_term", "bags", "这个包的皮子很软。", "高仿的和专柜一模一样。", "假货我们家从来不卖。", "黑色白色都有现货。"),
)  # fmt: skip


def spoken_plans(voice: Voice) -> list[ClipPlan]:
    """A clip and its twin for each episode, without captions."""
    return [_plan(voice, episode, clean=clean) for episode in SPOKEN for clean in (False, True)]


def _plan(voice: Voice, episode: SpokenEpisode, *, clean: bool) -> ClipPlan:
    middle = episode.twin if clean else episode.text
    lines = voice.say_all((episode.before, middle, episode.after))
    ends = [line.start_s + len(line.samples) / RATE for line in lines]
    span = (lines[1].start_s, round(ends[1], 2), "speech")
    return ClipPlan(
        name=f"spoken_{episode.label}{'_clean' if clean else ''}",
        duration_s=round(ends[-1] + 0.5, 1),
        speech=lines,
        metadata={"title": "日常好物", "language": "zh"},
        labels={} if clean else {episode.label: [span]},
        scene="studio",
        size=(270, 480),
        fps=10,
    )
