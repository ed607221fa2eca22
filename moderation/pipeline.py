"""Read this first: one video in, one verdict out.

    open ─► watch (text, codes, logos, hashes) ─► listen (speech) ─► read (terms, meaning) ─► decide ─► photograph

Each step is a room of its own; this page only passes their results on. Whatever could not be read becomes a
warning, because silence is never reported as clean.
"""

from __future__ import annotations

import logging
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from moderation import __version__
from moderation.bank.live import BankSnapshot, LiveBank
from moderation.errors import InputError, MetadataError, ModerationError
from moderation.evidence import Evidence, photograph, with_bank_pictures
from moderation.media import DecoderPool, Media, open_media
from moderation.metadata import VideoMetadata, load_metadata
from moderation.policy.brands import BrandWords, brand_findings
from moderation.policy.codes import code_findings
from moderation.policy.decide import classifier_findings, fuse, label_scores, settle, suggest, term_findings
from moderation.policy.goods import price_findings, qualification_findings
from moderation.policy.known import known_findings
from moderation.policy.load import Policy
from moderation.policy.logos import hidden_logo_findings, logo_findings
from moderation.settings import ScanSettings
from moderation.telemetry import Stopwatch
from moderation.text.classifier import TextClassifier
from moderation.text.matcher import TermMatcher
from moderation.text.meaning import Meaning, understand
from moderation.text.reading import read
from moderation.transcript.asr import open_recogniser
from moderation.transcript.ocr import ScreenTextReader
from moderation.transcript.subtitles import read_sidecars
from moderation.types import ErrorInfo, Finding, Utterance, Verdict, Versions
from moderation.visual.hashes import FrameHashes, copy_views
from moderation.visual.logos import LogoFinder
from moderation.visual.qr import CodeReader, CodeSighting
from moderation.visual.sightings import LogoSighting, LogoWatcher

logger = logging.getLogger(__name__)

NO_METADATA = (
    "metadata: none was given; brand authorisation, price and qualifications were not checked. "
    "Give --meta FILE, or put NAME.json beside the video."
)
NO_LOGOS = "logos: switched off; pictures were not searched for brands and hidden logos"
NO_CLASSIFIER = "text classifier: switched off; words were searched for terms only"


@dataclass(frozen=True, slots=True)
class Seen:
    """What the pictures gave: text on screen, codes, logos, hashes, and how many were looked at."""

    utterances: tuple[Utterance, ...]
    codes: tuple[CodeSighting, ...]
    logos: tuple[LogoSighting, ...]
    hashes: tuple[FrameHashes, ...]
    frames: int
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scan:
    """A verdict and the pictures that go with it (None where none were asked for or nothing was opened)."""

    verdict: Verdict
    evidence: Evidence | None


class Scanner:
    """Scores files one after another with models loaded once. Not thread-safe: one scanner a thread.

    Raises PolicyError or ModelError when it is made; `scan` itself never raises for an input.
    """

    def __init__(self, settings: ScanSettings | None = None) -> None:
        self.settings = settings or ScanSettings()
        self.policy = Policy.load(self.settings.policy)
        self._matcher = TermMatcher(self.policy.lexicon, self.policy.guards)
        self._classifier = TextClassifier(self.settings.text) if self.settings.text else None
        self._brands = BrandWords(self.policy.brands, self.policy.rules.brand_words)
        self._logos = LogoFinder(self.settings.logos) if self.settings.logos else None
        self._bank = LiveBank(self.settings.bank, self._logos)
        self._screen = ScreenTextReader(self.settings.ocr)
        self._recogniser, self._no_speech = open_recogniser(self.settings.speech)
        self._decoders = DecoderPool()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the spare decoding process."""
        self._decoders.close()

    @property
    def versions(self) -> Versions:
        bundles = {"ocr": self._screen.version}
        if self._classifier is not None:
            bundles["text"] = self._classifier.version
        if self._logos is not None:
            bundles["logo"] = self._logos.version
        if self.settings.bank is not None:
            bundles["bank"] = self._bank.current().version
        if self._recogniser is not None:
            bundles["asr"] = self._recogniser.version
        return Versions(__version__, self.policy.hash, bundles)

    def scan(
        self,
        path: Path,
        meta: VideoMetadata | None = None,
        *,
        meta_path: Path | None = None,
        with_pictures: bool = False,
    ) -> Scan:
        """Score one file. Failures come back as a verdict with `error`; the next file is not affected.

        Without `meta`, `meta_path` or NAME.json beside the file is read. `with_pictures` decodes the moments
        of evidence once more, for a report.
        """
        watch = Stopwatch()
        try:
            meta = meta or _metadata_of(path, meta_path)
            with open_media(
                path, limits=self.settings.limits, settings=self.settings.sampling, pool=self._decoders
            ) as media:
                return self._scan(path, media, meta, watch, with_pictures)
        except InputError as error:
            return Scan(self._failed(path, meta, error.code, str(error), watch), None)
        except Exception:
            logger.exception("internal error while scoring %s", path)
            message = f"{path}: a defect of this program, not of the file. Report it with the trace in the log."
            return Scan(self._failed(path, meta, ModerationError.code, message, watch), None)

    def _scan(
        self, path: Path, media: Media, meta: VideoMetadata | None, watch: Stopwatch, with_pictures: bool
    ) -> Scan:
        video_id = meta.id if meta and meta.id else media.sha256[:16]
        sidecars, sidecar_warnings = read_sidecars(path)

        bank = self._bank.current()
        seen = self._watch(media, watch, bank)
        written = [*(meta.utterances() if meta else ()), *media.subtitles(), *sidecars, *seen.utterances]
        spoken, speech_warnings = self._listen(media, written, meta, watch)
        media.require_something_read()
        transcript = sorted([*written, *spoken], key=_reading_order)
        with watch("text"):
            meanings = self._understand(transcript, meta)
            findings = self._judge(transcript, meanings, seen, bank, meta)
        evidence = None
        if with_pictures:
            with watch("evidence"):
                findings, evidence = photograph(media, video_id, findings, side=self.settings.snapshot_side)
                evidence = with_bank_pictures(evidence, findings, bank)

        warnings = [*media.warnings, *sidecar_warnings, *seen.warnings, *speech_warnings]
        if meta is None:
            warnings.append(NO_METADATA)
        if self._classifier is None:
            warnings.append(NO_CLASSIFIER)
        if self._logos is None and media.info.has_video:
            warnings.append(NO_LOGOS)
        if bank.warning:
            warnings.append(bank.warning)
        verdict = Verdict(
            id=video_id,
            path=str(path),
            sha256=media.sha256,
            duration_s=media.info.duration_s,
            suggestion=suggest(findings),
            findings=tuple(findings),
            scores=label_scores(self.policy, findings, meanings, meta),
            transcript=tuple(transcript),
            versions=self.versions,
            timings_s=watch.timings(),
            warnings=tuple(dict.fromkeys(warnings)),
        )
        return Scan(verdict, evidence)

    def _watch(self, media: Media, watch: Stopwatch, bank: BankSnapshot) -> Seen:
        """Pictures, frame by frame, so that memory stays flat; a listing's picture is one frame, read in full."""
        screen, codes, last, warnings = self._screen.start(), CodeReader(), 0.0, []
        logos = LogoWatcher(self._logos, bank.brands) if self._logos else None
        hashes: list[FrameHashes | None] = []
        text, count, hashed = None, 0, len(bank.clips) > 0
        limit_s = self.settings.limits.time_limit_s(media.info.duration_s)
        side = self.settings.picture_side if media.info.is_picture else None
        with closing(media.frames(max_side=side)) as frames:
            for frame in watch.each("decode", frames):
                last, count = frame.pts_s, count + 1
                with watch("ocr"):
                    if media.info.is_picture:
                        text = self._screen.read_picture(frame)
                    else:
                        screen.push(frame)
                with watch("visual"):
                    codes.push(frame)
                    hashes += [copy_views(frame)] if hashed else []
                with watch("logos"):
                    if logos is not None:
                        logos.push(frame)
                if watch.elapsed() > limit_s:
                    warnings.append(
                        f"time: the limit of {limit_s:.0f} s of work was reached; pictures after {last:.1f} s were not "
                        "read. Use a faster machine or send the video in parts."
                    )
                    break
        with watch("ocr"):
            text = text or screen.finish(last if warnings else media.info.duration_s or last)
        with watch("logos"):
            sightings = logos.finish() if logos is not None else []
        said = (*text.warnings, *codes.warnings, *(logos.warnings if logos else ()), *warnings)
        return Seen(
            text.utterances, tuple(codes.finish()), tuple(sightings), tuple(h for h in hashes if h), count, said
        )

    def _listen(
        self, media: Media, written: list[Utterance], meta: VideoMetadata | None, watch: Stopwatch
    ) -> tuple[tuple[Utterance, ...], tuple[str, ...]]:
        """Sound: speech, except where captions were shown to say the same."""
        if not media.info.has_audio or self.settings.speech is None:
            return (), ("asr: switched off; speech was not read",) if media.info.has_audio else ()
        if self._recogniser is None:
            return (), self._no_speech
        with watch("decode"):
            audio = media.audio()
        if audio is None:
            return (), ()
        captions = [u for u in written if u.source in {"screen", "subtitle"}]
        with watch("asr"):
            limit_s = self.settings.limits.time_limit_s(media.info.duration_s)
            heard = self._recogniser.transcribe(
                audio,
                language=meta.language if meta else None,
                captions=captions,
                deadline=lambda: watch.elapsed() > limit_s,
            )
        return heard.utterances, heard.warnings

    def _understand(self, transcript: list[Utterance], meta: VideoMetadata | None) -> list[Meaning]:
        if self._classifier is None:
            return []
        return understand(transcript, self._classifier, category=meta.category if meta else None)

    def _judge(
        self,
        transcript: list[Utterance],
        meanings: list[Meaning],
        seen: Seen,
        bank: BankSnapshot,
        meta: VideoMetadata | None,
    ) -> list[Finding]:
        """All findings: terms and meaning, brands in words and pictures, codes, known clips, price, licences."""
        policy, rules = self.policy, self.policy.rules
        readings = read(transcript, self._matcher, category=meta.category if meta else None)
        findings = term_findings(policy, readings, meta)
        if self._classifier is not None:
            findings = fuse(findings, classifier_findings(policy, meanings, meta, self._classifier.thresholds))
        scored = code_findings(rules.qr, seen.codes)
        scored += known_findings(bank.clips.find(seen.hashes))
        scored += hidden_logo_findings(rules.hidden_logos, seen.logos, seen.frames)
        if meta is not None:
            scored += brand_findings(self._brands, rules.brand_words, transcript, meta)
            scored += logo_findings(self._brands, rules.brand_pictures, seen.logos, meta, seen.frames)
            scored += price_findings(self._brands, rules.price, meta)
            scored += qualification_findings(policy.qualifications, rules.qualification_score, meta)
        findings += [settled for f in scored if (settled := settle(policy, f, meta)) is not None]
        return sorted(findings, key=lambda f: (-1.0 if f.start_s is None else f.start_s, f.label))

    def _failed(self, path: Path, meta: VideoMetadata | None, code: str, message: str, watch: Stopwatch) -> Verdict:
        return Verdict(
            id=meta.id if meta and meta.id else path.name,
            path=str(path),
            sha256=None,
            duration_s=None,
            suggestion=None,
            findings=(),
            scores={},
            transcript=(),
            versions=self.versions,
            timings_s=watch.timings(),
            error=ErrorInfo(code, message),
        )


def _metadata_of(path: Path, meta_path: Path | None) -> VideoMetadata | None:
    """Metadata from the file given, or NAME.json beside the video where there is one."""
    if meta_path is not None:
        if not meta_path.exists():
            raise MetadataError(f"{meta_path}: no such metadata file. Check the path given with --meta.")
        return load_metadata(meta_path)
    beside = path.with_suffix(".json")
    return load_metadata(beside) if beside != path and beside.is_file() else None


def _reading_order(utterance: Utterance) -> tuple[float, float]:
    start = utterance.start_s
    return (-1.0, 0.0) if start is None else (start, utterance.end_s or start)
