"""Code-point tables: what each character reads as, and what kind of character that is.

Everything that needs one character only (width, compatibility forms, case, accents, traditional to
simplified, look-alikes, emoji stand-ins) is one table look-up; rules that need neighbours live in
`normalise`. Sources: Unicode NFKC by `unicodedata`, OpenCC `t2s` by `tables/simplified.txt`, and the
hand-written stand-ins below.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

UNICODE = 0x110000
DROP = UNICODE
EXPAND = UNICODE + 1

OTHER, HANZI, LATIN, DIGIT, SOFT, HARD = range(6)

# Read as one hanzi, so that a word spelt with it is found: 微❤, 加➕, 包💰.
STAND_INS = {
    "心": "❤♥♡💗💓💕💖💘💙💚💛💜💝💞💟🖤🧡🤍🤎🩷🩵🩶❣💌",
    "钱": "💰💵💴💶💷💸🤑",
    "药": "💊",
    "针": "💉",
    "茶": "🍵",
    "虫": "🐛🪱",
    "加": "➕",
    "减": "➖",
    "毒": "☠",
    "枪": "🔫",
    "刀": "🔪🗡",
    "烟": "🚬",
    "酒": "🍺🍻🍷🥃🍶",
    "鞋": "👟👞🥾👠",
    "包": "👜👝👛🎒💼",
    "表": "⌚",
    "信": "✉📩📨📧",
    "车": "🚗🚙🏎",
    "群": "👥",
    "证": "🪪",
    "金": "🪙",
    "癌": "🦀",
    "手机": "📱",
    "电话": "📞☎☏📲",
    "卫星": "🛰",
    "第一": "🥇",
    "禁": "🈲",
}
# Look-alike letters of other scripts, and symbols that stand for letters or digits.
LOOK_ALIKES = {
    "a": "аɑαᴀ∂",
    "b": "вʙЬƄ",
    "c": "сϲᴄ",
    "d": "ԁᴅ",
    "e": "еєᴇҽ℮",
    "f": "ғꜰ",
    "g": "ɡɢ",
    "h": "һнʜ",
    "i": "іɩιıɪ",
    "j": "јᴊ",
    "k": "кκᴋ",
    "l": "ʟӏ",
    "m": "мᴍ",
    "n": "ոɴп",
    "o": "оοᴏσ",
    "p": "рρᴘ",
    "q": "ԛ",
    "r": "гʀ",
    "s": "ѕꜱ",
    "t": "тτᴛ",
    "u": "υᴜս",
    "v": "νѵᴠ∨",
    "w": "ԝᴡшщω",
    "x": "хχ×✕✖❌✗",
    "y": "уγʏ",
    "z": "ᴢ",
    "仿": "彷",
    "了": "瞭",
    "么": "麽",
    "一": "壹弌",
    "二": "贰弍",
    "三": "叁弎",
    "四": "肆",
    "七": "柒",
    "八": "捌",
    "九": "玖",
    "百": "佰",
    "千": "仟",
    "第": "苐",
    "最": "蕞",
    ":": "∶꞉",
    "-": "‐‑‒–−﹣",
    "—": "―",
    "'": "‘’ʼ`´′",
    '"': "“”„‟″「」『』﹁﹂﹃﹄〝〞",
    "…": "…⋯",
    "~": "〜～∼",
}
_PUNCTUATION_KEPT = "…"  # NFKC would make it three full stops, and a clause would become a decimal
_SOFT = " -_.·•*~|\\+=^#@&`'‧∙●○◦◆◇■□★☆※﹒・･丨丶"
_HARD = '/()[]{}<>"【】〔〕《》〈〉'


@dataclass(frozen=True, eq=False)
class Tables:
    """Look-ups by code point.

    `single`: uint32 (0x110000,), the reading; `DROP` where nothing is read, `EXPAND + k` where the
    reading is the k-th of `expansions`. `kind`: uint8 (0x110000,), by *read* character.
    `expansion_text`, `expansion_start`, `expansion_length`: the multi-character readings, flat.
    """

    single: NDArray[np.uint32]
    kind: NDArray[np.uint8]
    expansion_text: NDArray[np.uint32]
    expansion_start: NDArray[np.int64]
    expansion_length: NDArray[np.int64]


@cache
def tables() -> Tables:
    """Build the tables once per process (about 60 ms, 6 MB)."""
    single = np.arange(UNICODE, dtype=np.uint32)
    _drop_unread(single)
    unread = set(np.flatnonzero(single == DROP).tolist())
    expansions: list[str] = []
    for character, full in _readings().items():
        reading = "".join(c for c in full if ord(c) not in unread)
        if ord(character) in unread or not reading:
            single[ord(character)] = DROP
        elif len(reading) == 1:
            single[ord(character)] = ord(reading)
        else:
            single[ord(character)] = EXPAND + len(expansions)
            expansions.append(reading)
    lengths = np.array([len(e) for e in expansions], dtype=np.int64)
    return Tables(
        single=single,
        kind=_kinds(),
        expansion_text=np.array([ord(c) for e in expansions for c in e], dtype=np.uint32),
        expansion_start=np.concatenate(([0], np.cumsum(lengths)[:-1])),
        expansion_length=lengths,
    )


def _readings() -> dict[str, str]:
    """Character → what it reads as, where that differs; a reading is read no further."""
    readings = _compatibility() | _folded_han()
    for reading, spellings in (STAND_INS | LOOK_ALIKES).items():
        readings |= dict.fromkeys(spellings, reading)
    readings |= _enclosed_letters()
    for _ in range(2):  # 異 (compatibility form) → 異 (traditional) → 异
        readings = {c: "".join(readings.get(r, r) for r in reading) for c, reading in readings.items()}
    return readings


def _compatibility() -> dict[str, str]:
    """NFKC, lower case and bare Latin letters (é → e, wēi → wei), per character, where that changes it."""
    blocks = (
        (0x41, 0x5B), (0xA0, 0x590), (0x1D00, 0x2000), (0x2070, 0x2200), (0x2460, 0x2500), (0x2C60, 0x2C80),
        (0x3000, 0x3040), (0x3200, 0x3400), (0xA720, 0xA800), (0xF900, 0xFB10), (0xFE10, 0xFFF0),
        (0x1D400, 0x1D800), (0x1F100, 0x1F200), (0x2F800, 0x2FA20),
    )  # fmt: skip
    readings: dict[str, str] = {}
    for first, end in blocks:
        for code in range(first, end):
            character = chr(code)
            if character in _PUNCTUATION_KEPT:
                continue
            reading = unicodedata.normalize("NFKC", character).lower()
            if code < 0x2000 or 0xA720 <= code < 0xA800:
                bare = "".join(c for c in unicodedata.normalize("NFKD", reading) if not unicodedata.combining(c))
                reading = bare if bare.isascii() and bare else reading
            reading = "".join(" " if c.isspace() else c for c in reading)
            if reading != character and reading:
                readings[character] = reading
    return readings


def _folded_han() -> dict[str, str]:
    traditional, simplified = (
        (files("moderation.text") / "tables" / "simplified.txt").read_text(encoding="utf-8").split("\n")[:2]
    )
    return dict(zip(traditional, simplified, strict=True))


def _enclosed_letters() -> dict[str, str]:
    """White-on-black and regional-indicator letters, which NFKC leaves alone (🆅, 🅥, 🇻)."""
    first = {0x1F150: "a", 0x1F170: "a", 0x1F1E6: "a", 0x2776: "1", 0x2780: "1", 0x278A: "1"}
    return {
        chr(base + i): chr(ord(letter) + i) for base, letter in first.items() for i in range(26 if letter == "a" else 9)
    }


def _drop_unread(single: NDArray[np.uint32]) -> None:
    """Mark what has no reading of its own, in place: controls, joiners, combining marks, variants."""
    for first, end in (
        (0x00, 0x20), (0x7F, 0xA0), (0x300, 0x370), (0x1AB0, 0x1B00), (0x1DC0, 0x1E00), (0x200B, 0x2010),
        (0x202A, 0x202F), (0x2060, 0x2070), (0x20D0, 0x2100), (0xFE00, 0xFE10), (0xFE20, 0xFE30),
        (0x1F3FB, 0x1F400), (0xE0000, 0xE1000),
    ):  # fmt: skip
        single[first:end] = DROP
    for code in (0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180E, 0x3164, 0xFEFF, 0xFFA0):
        single[code] = DROP
    for code in map(ord, "\t\u00a0\u3000"):
        single[code] = ord(" ")
    for code in map(ord, "\n\r\v\f\x85\u2028\u2029"):
        single[code] = ord("\n")
    # Not text: lone surrogates cannot be encoded, and private-use code points carry our sound codes.
    for first, end in ((0xD800, 0xE000), (0xE000, 0xF900), (0xF0000, UNICODE)):
        single[first:end] = 0xFFFD


def _kinds() -> NDArray[np.uint8]:
    kind = np.full(UNICODE, OTHER, dtype=np.uint8)
    for first, end in ((0x3400, 0x4DC0), (0x4E00, 0xA000), (0x20000, 0x323B0)):
        kind[first:end] = HANZI
    kind[0x3007] = HANZI
    kind[ord("a") : ord("z") + 1] = LATIN
    kind[ord("0") : ord("9") + 1] = DIGIT
    # Symbols and pictures between two words of a line are decoration, and evasion within a word.
    for first, end in ((0x2190, 0x2460), (0x2500, 0x2E00), (0x1F000, 0x1FB00)):
        for code in range(first, end):
            if unicodedata.category(chr(code)) in ("So", "Sm", "Sk", "Cn"):
                kind[code] = SOFT
    kind[[ord(c) for c in _SOFT]] = SOFT
    kind[[ord(c) for c in _HARD]] = HARD
    return kind
