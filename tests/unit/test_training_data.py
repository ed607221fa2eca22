"""What goes into training: inline spans, the corpus, the user's tables, duplicates, splits, noise."""

from __future__ import annotations

import ast
import json
import random
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.policy.load import Policy
from moderation.types import CATEGORIES, TEXT_LABELS
from tests.bundles import tiny_examples
from training import corpus
from training.corpus import load_test, load_training
from training.duplicates import grouped, near_duplicates, split
from training.errors import DataError
from training.examples import Example, Span, format_inline, parse_inline
from training.lexicon import lexicon_examples
from training.noise import among_others, evaded, heard
from training.tables import load_table

TRAINING = Path(corpus.__file__).parent


class TestInline:
    @given(st.text(alphabet="喝茶a b，", max_size=20), st.data())
    def test_what_is_written_is_read_back(self, text: str, data: st.DataObject) -> None:
        cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)))
        spans = tuple(
            Span(data.draw(st.sampled_from(TEXT_LABELS)), a, b) for a, b in zip(cuts[::2], cuts[1::2], strict=False)
        )
        assert parse_inline(format_inline(text, spans)) == (text, spans)

    def test_several_labels_share_a_mark(self) -> None:
        text, spans = parse_inline("这茶[三天治好](medical_claim,efficacy_guarantee)了")
        assert text == "这茶三天治好了"
        assert spans == (Span("medical_claim", 2, 6), Span("efficacy_guarantee", 2, 6))

    @pytest.mark.parametrize("marked", ["[a](no_such_label)", "[a](medical_claim", "a](medical_claim)"])
    def test_broken_marks_are_refused(self, marked: str) -> None:
        if "](" in marked:
            with pytest.raises(DataError):
                parse_inline(marked)


class TestCorpus:
    def test_it_has_no_mistakes(self) -> None:
        mistakes, _ = corpus.check()
        assert not mistakes

    def test_it_is_as_broad_as_its_datasheet_says(self) -> None:
        counts = corpus.counts(load_training())
        for language, items, positives in (("zh", 7000, 300), ("en", 1500, 60)):
            mine = counts[language]
            assert mine["items"] >= items
            assert mine["unlabelled"] >= mine["items"] / 2
            assert set(mine["categories"]) == set(CATEGORIES)
            assert {"speech", "screen", "title", "comment"} <= set(mine["sources"])
            for label, row in mine["labels"].items():
                assert row["items"] >= positives, label
                assert row["scenes"] >= 10, label

    def test_the_frozen_split_is_large_enough_for_every_label(self) -> None:
        counts = corpus.counts([t.example for t in load_test() if not t.slice])
        for language, items, positives in (("zh", 1200, 45), ("en", 300, 15)):
            assert counts[language]["items"] >= items
            assert min(row["items"] for row in counts[language]["labels"].values()) >= positives

    def test_only_measuring_reads_the_frozen_split(self) -> None:
        readers = set()
        for path in TRAINING.glob("*.py"):
            names = {n.id for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Name)}
            names |= {
                a.name
                for n in ast.walk(ast.parse(path.read_text("utf-8")))
                if isinstance(n, ast.ImportFrom)
                for a in n.names
            }
            if names & {"load_test", "TEST_FILES"}:
                readers.add(path.name)
        assert readers == {"corpus.py", "evaluate.py"}

    @pytest.mark.parametrize(
        "line",
        [
            "{",
            "[]",
            '{"id": "x"}',
            '{"id": "x", "scene": "s", "text": "[a](b)"}',
            '{"id": "x", "scene": "s", "text": " "}',
            '{"id": "x", "scene": "s", "text": "a", "category": "toys"}',
            '{"id": "x", "scene": "s", "text": "a", "z": 1}',
        ],
    )
    def test_a_mistake_is_named_with_file_and_line(self, tmp_path: Path, line: str) -> None:
        for name in corpus.TRAIN_FILES:
            (tmp_path / name).write_text('{"id": "a", "scene": "s", "text": "a"}\n' + line, "utf-8")
        with pytest.raises(DataError, match=r"zh\.jsonl:2"):
            load_training(tmp_path)

    def test_the_lexicon_says_something_about_one_label_only(self) -> None:
        found = lexicon_examples(Policy.load().lexicon)
        assert len(found) > 5000
        assert all(len(e.known) == 1 and e.labels <= e.known for e in found)


class TestDuplicates:
    def test_near_copies_are_found_and_others_not(self) -> None:
        texts = [
            "家里老人血糖高的听好了，这个苦荞茶喝三个月指标自己就下来",
            "这件衣服洗的时候翻过来洗，绒面朝里，不要用开水烫",
            "家里老人血糖高的听好了这个苦荞茶，喝三个月指标自己就下来！",
            "家裡老人血糖高的聽好了，這個苦蕎茶喝三個月指標自己就下來",
        ]
        assert set(near_duplicates(texts)) == {(0, 2), (0, 3), (2, 3)}

    @given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.booleans()), min_size=1, max_size=60), st.integers(0, 9))
    def test_no_group_is_split_apart_and_nothing_is_lost(self, drawn: list[tuple[str, bool]], seed: int) -> None:
        labels = {True: frozenset({"medical_claim"}), False: frozenset()}
        examples = [Example(str(i), f"文本{i * 7919}", labels[hit], group=g) for i, (g, hit) in enumerate(drawn)]
        parts = split(examples, (0.7, 0.1, 0.2), seed=seed)
        assert sorted(e.id for part in parts for e in part) == sorted(e.id for e in examples)
        where = defaultdict(set)
        for number, part in enumerate(parts):
            for example in part:
                where[example.group].add(number)
        assert all(len(numbers) == 1 for numbers in where.values())

    def test_copies_end_on_one_side_though_their_groups_differ(self) -> None:
        a = Example("1", "这个苦荞茶喝三个月指标自己就下来", frozenset(), group="x")
        b = replace(a, id="2", text="这个苦荞茶，喝三个月指标自己就下来。", group="y")
        c = Example("3", "洗的时候翻过来洗不要用开水烫", frozenset(), group="z")
        first, second, third = grouped([a, b, c])
        assert first == second != third

    def test_labels_are_spread_over_the_parts(self) -> None:
        parts = split(tiny_examples(400), (0.7, 0.1, 0.2), seed=1)
        shares = [sum(bool(e.labels) for e in part) / len(part) for part in parts]
        assert [round(len(part) / 400, 1) for part in parts] == [0.7, 0.1, 0.2]
        assert all(0.4 < share < 0.6 for share in shares)


class TestNoise:
    @given(
        st.text(alphabet="家里老人血糖高听好了茶喝三个月，。abc ", min_size=1, max_size=40),
        st.integers(0, 1000),
        st.data(),
    )
    def test_spans_stay_on_their_words(self, text: str, seed: int, data: st.DataObject) -> None:
        a = data.draw(st.integers(0, len(text) - 1))
        b = data.draw(st.integers(a + 1, len(text)))
        example = Example("x", text, frozenset({"medical_claim"}), spans=(Span("medical_claim", a, b),))
        for change in (heard, evaded):
            changed = change(example, random.Random(seed))
            assert changed.labels == example.labels
            for span in changed.spans:
                assert 0 <= span.start < span.end <= len(changed.text)
                before, behind = changed.text[: span.start], changed.text[span.end :]
                assert len(before) <= 8 * (a + 1)
                assert len(behind) <= 8 * (len(text) - b + 1)

    def test_evasion_writes_the_words_that_matter_otherwise(self) -> None:
        text, spans = parse_inline("家里老人听好了，[这个茶治好糖尿病](medical_claim)，别错过")
        example = Example("x", text, frozenset({"medical_claim"}), spans=spans)
        changed = [evaded(example, random.Random(n)) for n in range(20)]
        assert all(c.text.startswith("家里老人听好了，") and c.text.endswith("，别错过") for c in changed)
        assert len({c.text for c in changed}) > 15

    def test_a_text_among_others_keeps_its_evidence(self) -> None:
        text, spans = parse_inline("这茶[治好糖尿病](medical_claim)")
        example = Example("x", text, frozenset({"medical_claim"}), spans=spans)
        others = [Example(str(i), f"别的话{i}", frozenset()) for i in range(2)]
        for seed in range(20):
            found = among_others(example, others, random.Random(seed))
            assert found.text[found.spans[0].start : found.spans[0].end] == "治好糖尿病"
            assert all(o.text in found.text for o in others)


class TestTables:
    def table(self, folder: Path, content: str | bytes, name: str = "mine.tsv") -> Path:
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def test_names_in_a_column(self, tmp_path: Path) -> None:
        path = self.table(tmp_path, "text\tlabels\tcategory\n治好\tmedical_claim, superstition\tfood\n好喝\t\t\n")
        first, second = load_table(path)
        assert first.labels == {"medical_claim", "superstition"}
        assert (first.category, second.category, second.labels) == ("food", None, frozenset())
        assert first.known == second.known == first.labels
        assert not first.spans_known

    def test_a_column_a_label_with_blanks(self, tmp_path: Path) -> None:
        path = self.table(tmp_path, "text\tmedical_claim\tsuperstition\n治好\t1\t\n转运\t0\t1\n好喝\t0\t0\n")
        first, second, third = load_table(path)
        assert (first.labels, first.known) == ({"medical_claim"}, {"medical_claim"})
        assert second.known == third.known == {"medical_claim", "superstition"}

    def test_binary(self, tmp_path: Path) -> None:
        path = self.table(tmp_path, "text\tlabel\n治好\t1\n好喝\t0\n")
        assert [e.labels for e in load_table(path, label="medical_claim")] == [{"medical_claim"}, frozenset()]
        with pytest.raises(DataError, match="--label"):
            load_table(path)

    def test_json_lines_with_spans_and_languages(self, tmp_path: Path) -> None:
        span = {"label": "medical_claim", "start": 3, "end": 8}
        rows = [
            {"text": "这茶[治好病](medical_claim)", "labels": ["medical_claim"], "group": 7},
            {"text": "it cures", "labels": ["medical_claim"], "spans": [span]},
            {"text": "plain", "labels": []},
        ]  # fmt: skip
        path = self.table(tmp_path, "\n".join(json.dumps(r) for r in rows), "mine.jsonl")
        first, second, third = load_table(path)
        assert (first.text, first.spans, first.group, first.spans_known) == (
            "这茶治好病",
            (Span("medical_claim", 2, 5),),
            "7",
            True,
        )
        assert (second.language, second.spans[0].end) == ("en", 8)
        assert third.labels == frozenset()

    def test_windows_line_ends_a_mark_of_order_and_repetitions_are_no_mistake(self, tmp_path: Path) -> None:
        path = self.table(tmp_path, b"\xef\xbb\xbftext\tlabels\r\na\tmedical_claim\r\na\tmedical_claim\r\nb\t\r\n")
        assert [e.text for e in load_table(path)] == ["a", "b"]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("", "must name the columns"),
            ("words\tlabels\na\t\n", "`text`"),
            ("text\na\n", "no labels"),
            ("text\tlabels\n", "no rows"),
            ("text\tlabels\na\tmedical_claim\n\tmedical_claim\n", "row 3.*empty"),
            ("text\tlabels\na\tmedical\nb\t\n", "row 2.*unknown labels medical"),
            ("text\tmedical_claim\tcolour\na\t1\tred\n", "unknown columns colour"),
            ("text\tmedical_claim\na\tmaybe\nb\t0\n", "row 2.*'maybe'"),
            ("text\tlabels\na\tmedical_claim\nb\tmedical_claim\n", "applies to all"),
            ("text\tmedical_claim\na\t0\nb\t0\n", "applies to none"),
            ("text\tlabels\na\tmedical_claim\na\t\nb\t\n", "row 3.*row 2"),
            ("text\tlabels\na\tmedical_claim\textra\nb\t\n", "row 2.*cells"),
            ("text\tlabels\tcategory\na\tmedical_claim\ttoys\nb\t\t\n", "row 2.*toys"),
            ("text\tlabels\tsource\na\tmedical_claim\tradio\nb\t\t\n", "row 2.*radio"),
            ("text\tlabels\n治好\tmedical_claim\n好喝\t\n".encode("gbk"), "row 2.*GBK.*iconv"),
            ("text\tlabels\na\t\n".encode("utf-16"), "NUL"),
            (b"text\tlabels\na\tmedical_claim\n\xff\xff\xff\t\n", "row 3: not UTF-8"),
        ],
    )
    def test_a_mistake_is_named_with_its_row(self, tmp_path: Path, content: str | bytes, message: str) -> None:
        with pytest.raises(DataError, match=message):
            load_table(self.table(tmp_path, content))

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"none\.tsv"):
            load_table(tmp_path / "none.tsv")

    @pytest.mark.parametrize(
        "line",
        [
            "{",
            "[1]",
            '{"text": "a", "labels": [], "spans": 3}',
            '{"text": "a", "labels": ["superstition"], "spans": [{"label": "superstition", "start": 0, "end": 9}]}',
        ],
    )
    def test_mistakes_of_json_rows(self, tmp_path: Path, line: str) -> None:
        good = '{"text": "x", "labels": ["medical_claim"]}\n{"text": "y", "labels": []}\n'
        with pytest.raises(DataError, match="row 3"):
            load_table(self.table(tmp_path, good + line, "mine.jsonl"))

    @given(st.binary(max_size=200))
    def test_any_bytes_are_rows_or_a_clear_error(self, tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
        for name in ("any.tsv", "any.jsonl"):
            path = tmp_path_factory.mktemp("any") / name
            path.write_bytes(b"text\tlabels\n" + raw if name == "any.tsv" else raw)
            try:
                load_table(path)
            except DataError as error:
                assert name in str(error)
