"""Matches with the bank of confirmed violations → findings."""

from __future__ import annotations

from collections.abc import Iterable

from moderation.types import Action, BankMatch, Finding
from moderation.visual.known import ClipMatch

# Few frames that agree may be a shared title card; from five on, their likeness alone counts. The same footage with
# other words in it may be innocent now: half of the score asks how alike the whole frames are.
_ENOUGH_FRAMES, _FIRST_FRAME = 5, 0.75


def known_findings(matches: Iterable[ClipMatch]) -> list[Finding]:
    """`known_violation` for each clip of the bank that is repeated; the score falls with unlikeness and few frames."""
    return [
        Finding(
            label="known_violation",
            score=round((match.similarity + match.whole) / 2 * _by_frames(match.frames), 4),
            action=Action.REVIEW,
            source="bank",
            detector="bank",
            start_s=match.start_s,
            end_s=match.end_s,
            text=match.name,
            match=BankMatch(
                match.name,
                match.similarity,
                picture=f"bank/{match.clip_id}/{round(match.clip_start_s * 10):06d}.jpg",
                start_s=match.clip_start_s,
                end_s=match.clip_end_s,
            ),
            how=f"{match.frames} frames repeat {match.clip_start_s:.1f}–{match.clip_end_s:.1f} s of the bank's clip "
            f"{match.clip_id}, at {match.speed:.2f} × its speed",
        )
        for match in matches
    ]


def _by_frames(frames: int) -> float:
    return min(_FIRST_FRAME + (1.0 - _FIRST_FRAME) * (frames - 1) / (_ENOUGH_FRAMES - 1), 1.0)
