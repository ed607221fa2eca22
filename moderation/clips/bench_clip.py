"""The bench's clip: a minute of selling talk in captions over real moving footage, with its truth."""

from __future__ import annotations

from dataclasses import dataclass

from moderation.clips.make import Caption, ClipPlan, Speech

DURATION_S = 60.0
SIZE = (720, 1280)
FPS = 30
# Small print must be read too when it stays a while.
SMALL_PRINT = Caption(31.0, 35.0, "具体尺寸以收到的实物为准", style="small", size=16, at=(0.5, 0.94))

_LINES = (
    ("大家晚上好欢迎来到直播间", 2.5),
    ("今天先看这件针织开衫", 3.0),
    ("羊毛含量百分之三十", 2.0),
    ("手感很软不扎皮肤", 2.5),
    ("袖口有一个小小的罗纹", 3.5),
    ("一共有五个颜色可以选", 2.5),
    ("燕麦色最百搭显白", 3.0),
    ("身高一米六穿中码就好", 2.0),
    ("洗的时候记得用冷水", 4.0),
    ("下一个是厨房用的小锅", 2.5),
    ("不粘涂层轻轻一冲就干净", 3.0),
    ("全国销量第一的不粘锅", 3.5),
    ("煎蛋煎牛排都可以", 2.0),
    ("手柄是防烫的放心拿", 2.5),
    ("电磁炉和燃气灶通用", 3.0),
    ("再给大家看一款养生茶", 2.5),
    ("喝上半个月高血压就好了", 4.0),
    ("每盒二十袋独立包装", 2.0),
    ("不满意七天之内可以退", 3.0),
    ("想要的加我微信发链接", 3.5),
    ("谢谢大家我们明天再见", 3.0),
)

# Spoken over the captions where a voice is installed; other words than theirs, so that they must be recognised.
SPOKEN = (
    "晚上好，刚进来的朋友先听我说两句。",
    "这件开衫我自己穿了半个月，洗了三次。",
    "领口没有变形，颜色也没有掉。",
    "个子高的朋友可以拍大一码。",
    "发货是从我们自己的仓库走，两天就到。",
    "接下来看锅，重量大概一斤半。",
    "我妈用了一个冬天，锅底还是亮的。",
    "炒完菜不要马上用冷水冲。",
    "有孩子的家庭用这个尺寸刚刚好。",
    "然后这个茶是我们老家山上的。",
    "喝两个月高血压就治好了，降压药都停了。",
    "水温八十度左右，泡三分钟再喝。",
    "礼盒可以送人，也可以自己喝。",
    "还有问题的在下面打出来，我一个一个回。",
)


@dataclass(frozen=True, slots=True)
class BenchTruth:
    """The caption lines in order, and the small line, each with its time."""

    lines: tuple[Caption, ...]
    small: Caption


def bench_truth() -> BenchTruth:
    """What can be read in the bench clip."""
    lines, start = [], 0.0
    styles = ("outline", "banner", "outline")
    for number, (text, seconds) in enumerate(_LINES):
        size = 38 if number % 4 else 44
        lines.append(Caption(start, start + seconds, text, styles[number % 3], size, (0.5, 0.78)))
        start += seconds
    return BenchTruth(tuple(lines), SMALL_PRINT)


def bench_plan(speech: tuple[Speech, ...] = ()) -> ClipPlan:
    """The plan of the bench clip; `speech` adds spoken lines."""
    truth = bench_truth()
    marks = {"第一": "absolute_term", "高血压": "medical_claim", "微信": "off_platform_diversion"}
    return ClipPlan(
        name="bench",
        duration_s=DURATION_S,
        captions=(*truth.lines, truth.small),
        speech=speech,
        labels={
            label: [(c.start_s, c.end_s, "screen") for c in truth.lines if word in c.text]
            for word, label in marks.items()
        },
        scene="bikes",
        size=SIZE,
        fps=FPS,
        crf=23,
        notes="sixty seconds for the bench",
    )
