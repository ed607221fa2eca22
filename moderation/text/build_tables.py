"""Write the two character tables of this room: `python -m moderation.text.build_tables`.

They ship as text files so that a worker needs neither OpenCC nor pypinyin at run time, so that
both are read in milliseconds, and so that an upgrade of either library cannot change verdicts
unseen. Run it again only to take newer data over, and read the difference before committing it.

Sources: OpenCC `t2s` (Apache-2.0) for `simplified.txt`; pinyin-data through pypinyin (MIT) for
`pinyin.txt`.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from pathlib import Path

log = logging.getLogger(__name__)

TABLES = Path(__file__).parent / "tables"
HANZI = [*range(0x3400, 0x4DC0), *range(0x4E00, 0xA000)]
# Second readings that hosts do say. The library's own list of heteronyms holds archaic ones as well,
# and every needless reading is a source of false alarms, so this list is written by hand.
HETERONYMS = {
    "行": "hang", "长": "chang", "重": "chong", "乐": "yue", "还": "huan", "得": "dei", "了": "liao", "着":
    "zhao", "都": "du", "会": "kuai", "调": "tiao", "传": "zhuan", "降": "xiang", "觉": "jiao", "角":
    "jue", "露": "lou", "率": "shuai", "模": "mu", "没": "mo", "血": "xie", "省": "xing", "盛": "cheng",
    "校": "jiao", "折": "she", "藏": "zang", "差": "chai", "朝": "zhao", "称": "chen", "单": "shan", "弹":
    "tan", "的": "di", "给": "ji", "卡": "qia", "圈": "juan", "色": "shai", "什": "shi", "薄": "bo", "落":
    "la", "便": "pian", "参": "shen", "熟": "shou", "削": "xue", "否": "pi", "术": "zhu", "车": "ju", "石":
    "dan", "南": "na", "万": "mo", "曾": "zeng", "解": "xie", "夹": "ga", "系": "ji", "提": "di", "强":
    "jiang",
}  # fmt: skip


def simplified_pairs() -> list[tuple[str, str]]:
    """(traditional, simplified) for every single character that OpenCC's `t2s` changes to one other."""
    import opencc

    converter = opencc.OpenCC("t2s")
    characters = [chr(c) for c in [*HANZI, *range(0x20000, 0x2A6E0)]]
    converted = converter.convert("\n".join(characters)).split("\n")
    return [(a, b) for a, b in zip(characters, converted, strict=True) if a != b and len(b) == 1]


def syllables() -> dict[str, tuple[str, str]]:
    """Toneless syllable → (characters read so first, characters for which it is the second reading)."""
    from pypinyin import Style, pinyin

    first: dict[str, list[str]] = defaultdict(list)
    second: dict[str, list[str]] = defaultdict(list)
    changed = {a for a, _ in simplified_pairs()}
    for code in HANZI:
        character = chr(code)
        if character in changed:
            continue  # the text is simplified before it is read aloud
        usual = pinyin(character, style=Style.NORMAL, v_to_u=False)[0][0]
        if not (usual.isascii() and usual.isalpha()):
            continue  # no reading on record
        first[usual].append(character)
        if (other := HETERONYMS.get(character)) and other != usual:
            second[other].append(character)
    return {s: ("".join(first[s]), "".join(second[s])) for s in sorted({*first, *second})}


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    pairs = simplified_pairs()
    lines = ["".join(a for a, _ in pairs), "".join(b for _, b in pairs)]
    (TABLES / "simplified.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    rows = [f"{s}\t{one}\t{two}" for s, (one, two) in syllables().items()]
    (TABLES / "pinyin.txt").write_text("\n".join(rows) + "\n", encoding="utf-8")
    log.info("%d traditional characters, %d syllables written to %s", len(pairs), len(rows), TABLES)


if __name__ == "__main__":
    main()
