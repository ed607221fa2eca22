"""Text as written → text as read, with the way back to every original character.

Evasion spells a word so that people still read it: full width, traditional characters, look-alike
letters, emoji, split characters, separators inside words. The reading undoes that in vectorised
passes over code points: one table look-up per character, then rules over runs of equal kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from moderation.text.characters import DIGIT, DROP, EXPAND, HANZI, HARD, LATIN, SOFT, Tables, tables

_NEWLINE, _SPACE, _HYPHEN = ord("\n"), ord(" "), ord("-")

# Two halves that are read as one character. Only halves that never stand side by side in real words.
SPLIT_CHARACTERS = {
    "亻言": "信", "木仓": "枪", "讠正": "证", "钅戋": "钱", "饣我": "饿", "弓虽": "强", "米唐": "糖", "贝兼": "赚",
    "贝者": "赌", "木又": "权", "讠果": "课", "亻呆": "保", "讠义": "议", "火因": "烟", "丬犬": "状", "疒丙": "病",
    "疒嵒": "癌", "艹约": "药", "艹乐": "药", "氵台": "治", "亻方": "仿", "亻弟": "第", "彳主": "往", "忄生": "性",
    "讠午": "许", "氵咸": "减", "月巴": "肥", "疒瘤": "瘤", "糸工": "红", "纟工": "红", "禾斗": "科", "走取": "趣",
    "毒品品": "毒品", "亻介": "价", "讠永": "咏", "言午": "许", "女乃": "奶", "车专": "转", "贝长": "账", "亻弋": "代",
}  # fmt: skip
# Digits and signs that stand for letters inside a latin word (rep1ica, m0ney, ca$h).
_LEET = {"0": "o", "1": "l", "3": "e", "4": "a", "5": "s", "$": "s"}


@dataclass(frozen=True, eq=False)
class Normalised:
    """The reading of one text.

    `starts`, `ends`: int32 (len(text),); character i of `text` was read from
    `original[starts[i]:ends[i]]`. Both never decrease. `breaks`: int32, sorted; the indexes in `text`
    before which a separator between two whole words was left out ("全网 最低" has one at 2). `restored`:
    int32, sorted; the indexes in `text` of characters that were written by sound.
    """

    original: str
    text: str
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    breaks: NDArray[np.int32]
    restored: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, dtype=np.int32))

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The half-open range of `original` that `text[start:end]` (not empty) was read from."""
        return int(self.starts[start]), int(self.ends[end - 1])

    @cached_property
    def codes(self) -> NDArray[np.uint32]:
        """uint32 (len(text),), the code points of `text`."""
        return code_points(self.text)


def normalise(text: str) -> Normalised:
    """Read one text. Any string is accepted, lone surrogates and control characters included."""
    table = tables()
    codes, starts, ends = _read_characters(code_points(text), table)
    codes, starts, ends = _join_split_characters(codes, starts, ends)
    codes = _read_leet(codes, table)
    codes, starts, ends, breaks = _drop_separators(codes, starts, ends, table)
    codes, starts, ends, breaks = _settle_spaces(codes, starts, ends, breaks, table)
    return Normalised(text, from_code_points(codes), starts, ends, breaks)


def join_lines(texts: Sequence[str]) -> tuple[str, NDArray[np.int64]]:
    """One string with a line break after each text, and the index at which each begins: int64 (n,)."""
    joined = "\n".join(texts)
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    return joined, np.concatenate(([0], np.cumsum(lengths + 1)[:-1])).astype(np.int64)


def code_points(text: str) -> NDArray[np.uint32]:
    """uint32 (len(text),); lone surrogates are kept."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def from_code_points(codes: NDArray[np.uint32]) -> str:
    """The inverse of `code_points`."""
    return codes.astype("<u4").tobytes().decode("utf-32-le")


def _read_characters(
    codes: NDArray[np.uint32], table: Tables
) -> tuple[NDArray[np.uint32], NDArray[np.int32], NDArray[np.int32]]:
    """Look every character up; drop, keep or expand it."""
    read = table.single[codes]
    origin = np.arange(len(codes), dtype=np.int32)
    special = np.flatnonzero(read >= DROP)
    if special.size:
        counts = np.ones(len(codes), dtype=np.int64)
        expanded = special[read[special] >= EXPAND]
        which = read[expanded].astype(np.int64) - EXPAND
        counts[special] = 0
        counts[expanded] = table.expansion_length[which]
        origin = np.repeat(origin, counts)
        first = np.cumsum(counts) - counts
        read = read[origin]
        for position, k in zip(first[expanded].tolist(), which.tolist(), strict=True):
            begin, length = int(table.expansion_start[k]), int(table.expansion_length[k])
            read[position : position + length] = table.expansion_text[begin : begin + length]
    return read, origin, origin + np.int32(1)


def _join_split_characters(
    codes: NDArray[np.uint32], starts: NDArray[np.int32], ends: NDArray[np.int32]
) -> tuple[NDArray[np.uint32], NDArray[np.int32], NDArray[np.int32]]:
    """亻言 → 信, with the range of both halves."""
    firsts = np.flatnonzero(_FIRST_HALF[np.minimum(codes[:-1], _HAN_LIMIT)])
    keep = np.ones(len(codes), dtype=bool)
    for i in firsts.tolist():
        whole = _PAIRS.get((int(codes[i]), int(codes[i + 1])))
        if whole is not None and keep[i]:
            codes[i], ends[i], keep[i + 1] = whole, ends[i + 1], False
    if keep.all():
        return codes, starts, ends
    return codes[keep], starts[keep], ends[keep]


def _read_leet(codes: NDArray[np.uint32], table: Tables) -> NDArray[np.uint32]:
    """m0ney → money; and o between digits is 0 (13o0 → 1300)."""
    while len(codes) >= 3:
        kind = table.kind[codes]
        letter, digit = kind == LATIN, kind == DIGIT
        # Three letters around it at least, two of them on one side: h1n1 and b2b are names, not evasion.
        beyond = np.zeros(len(codes), dtype=bool)
        beyond[2:] |= letter[:-2]
        beyond[:-2] |= letter[2:]
        as_letter = letter[:-2] & letter[2:] & beyond[1:-1] & _IS_LEET[np.minimum(codes[1:-1], 127)]
        as_zero = digit[:-2] & digit[2:] & (codes[1:-1] == ord("o"))
        changed = np.flatnonzero(as_letter | as_zero) + 1
        if not changed.size:
            break
        # Once more afterwards: a letter read so may be the neighbour that another one lacked.
        for i in changed.tolist():
            codes[i] = ord(_leet_letter(*map(chr, codes[i - 1 : i + 2])))
    return codes


def _leet_letter(before: str, sign: str, after: str) -> str:
    """What a sign between two characters stands for; 1 is i between consonants, else l (m1racle, c1inic)."""
    if sign == "1":
        return "l" if before in "aeiou" or after in "aeiou" else "i"
    return _LEET.get(sign, "0")


def _drop_separators(
    codes: NDArray[np.uint32], starts: NDArray[np.int32], ends: NDArray[np.int32], table: Tables
) -> tuple[NDArray[np.uint32], NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Leave separators beside hanzi out, and between single letters; remember those between whole words.

    A single sign is put into a word (这个能根-治吗); spaces and pictures also stand between words.
    Brackets, quotes and slashes go only where a neighbour is a single character, since 根/治 is evasion
    and 红色/蓝色 is not.
    """
    no_breaks = np.empty(0, dtype=np.int32)
    kind = table.kind[codes]
    separator = (kind == SOFT) | (kind == HARD)
    if not separator.any():
        return codes, starts, ends, no_breaks
    merged = np.where(separator, np.uint8(SOFT), kind)
    edges = np.flatnonzero(merged[1:] != merged[:-1]) + 1
    first = np.concatenate(([0], edges))
    length = np.diff(np.concatenate((first, [len(codes)])))
    run = merged[first]
    word = (run == HANZI) | (run == LATIN) | (run == DIGIT)
    hard = np.add.reduceat((kind == HARD).astype(np.int32), first) > 0
    short = ((run == HANZI) & (length == 1)) | ((run == LATIN) & (length <= 2))

    inner = np.flatnonzero((run[1:-1] == SOFT) & word[:-2] & word[2:]) + 1
    beside_han = (run[inner - 1] == HANZI) | (run[inner + 1] == HANZI)
    beside_short = short[inner - 1] | short[inner + 1]
    spelled = _spelled_out(codes, first, length, run, inner)
    dropped = inner[(beside_han & (beside_short | ~hard[inner])) | spelled]
    if not dropped.size:
        return codes, starts, ends, no_breaks
    tight = (length[dropped] == 1) & np.isin(codes[first[dropped]], _TIGHT)
    whole_words = dropped[~(short[dropped - 1] | short[dropped + 1] | tight)]

    keep_run = np.ones(len(run), dtype=bool)
    keep_run[dropped] = False
    keep = np.repeat(keep_run, length)
    new_index = np.cumsum(keep) - keep
    breaks = new_index[first[whole_words]].astype(np.int32)
    return codes[keep], starts[keep], ends[keep], breaks


def _spelled_out(
    codes: NDArray[np.uint32],
    first: NDArray[np.int64],
    length: NDArray[np.int64],
    run: NDArray[np.uint8],
    inner: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Which of the `inner` separator runs stand inside a word spelled letter by letter: c.u.r.e, v x."""
    letter = (run == LATIN) & (length == 1)
    pair = np.zeros(len(run), dtype=bool)
    pair[inner] = letter[inner - 1] & letter[inner + 1] & (length[inner] == 1)
    beside = np.zeros(len(run), dtype=bool)
    beside[2:] |= pair[:-2]
    beside[:-2] |= pair[2:]
    is_vx = np.isin(codes[first[inner - 1]], (ord("v"), ord("w"))) & (codes[first[inner + 1]] == ord("x"))
    return pair[inner] & (beside[inner] | is_vx)


def _settle_spaces(
    codes: NDArray[np.uint32],
    starts: NDArray[np.int32],
    ends: NDArray[np.int32],
    breaks: NDArray[np.int32],
    table: Tables,
) -> tuple[NDArray[np.uint32], NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """A hyphen inside an English compound reads as a space; a run of spaces reads as one."""
    if len(codes) < 2:
        return codes, starts, ends, breaks
    hyphen = np.flatnonzero(codes[1:-1] == _HYPHEN) + 1
    if hyphen.size:
        kind = table.kind[codes]
        before, after = kind[hyphen - 1], kind[hyphen + 1]
        letters = (before == LATIN) | (after == LATIN)
        compound = letters & np.isin(before, (LATIN, DIGIT)) & np.isin(after, (LATIN, DIGIT))
        codes[hyphen[compound]] = _SPACE
    space = codes == _SPACE
    extra = space[1:] & space[:-1]
    if not extra.any():
        return codes, starts, ends, breaks
    keep = np.concatenate(([True], ~extra))
    new_index = np.cumsum(keep) - keep
    return codes[keep], starts[keep], ends[keep], new_index[breaks].astype(np.int32)


_TIGHT = np.array([ord(c) for c in "-_.·•*+=^#@&'‧∙・･"], dtype=np.uint32)
_PAIRS = {(ord(k[0]), ord(k[1])): ord(v) for k, v in SPLIT_CHARACTERS.items() if len(k) == 2}
_HAN_LIMIT = 0xA000
_FIRST_HALF = np.zeros(_HAN_LIMIT + 1, dtype=bool)
_FIRST_HALF[[a for a, _ in _PAIRS]] = True
_IS_LEET = np.zeros(128, dtype=bool)
_IS_LEET[[ord(c) for c in _LEET]] = True
