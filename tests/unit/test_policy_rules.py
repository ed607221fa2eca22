from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from moderation.metadata import VideoMetadata, parse_metadata
from moderation.policy.brands import BrandWords, brand_findings
from moderation.policy.decide import classifier_findings, fuse, label_scores, settle, suggest, term_findings
from moderation.policy.goods import price_findings, qualification_findings
from moderation.policy.load import Policy
from moderation.policy.schema import Brand, LabelPolicy, QualificationsFile
from moderation.text.classifier import Classification, Evidence
from moderation.text.matcher import TermMatch
from moderation.text.meaning import Meaning
from moderation.text.reading import Reading
from moderation.types import Action, Finding, Utterance

BRANDS = (
    Brand(key="nike", names=("nike", "耐克"), floor_price={"footwear": 120.0}),
    Brand(key="apple", names=("苹果", "iphone"), ambiguous=("苹果",), context=("手机", "耳机"), allow=("适用苹果",)),
)
NUMBER = {
    "name": "drug_registration",
    "pattern": r"国药准字[HZSJB]\d{8}",
    "example": "国药准字H20013062",
    "not_example": "国药准字",
}
QUALIFICATIONS = QualificationsFile.model_validate(
    {
        "rules": [
            {"category": "drug", "always": True, "needs": [NUMBER], "basis": "广告法 第四十六条"},
            {"category": "appliance", "when": ["插排"], "unless": ["玩具"], "needs": [NUMBER], "basis": "x"},
        ]
    }
)


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy.load()


@pytest.fixture(scope="module")
def words(policy: Policy) -> BrandWords:
    return BrandWords(BRANDS, policy.rules.brand_words)


def meta(**values: object) -> VideoMetadata:
    return parse_metadata(values, where="test")


def with_label(policy: Policy, label: str, **changes: object) -> Policy:
    labels = {**policy.rules.labels, label: policy.rules.labels[label].model_copy(update=changes)}
    return replace(policy, rules=policy.rules.model_copy(update={"labels": labels}))


def reading(strength: str, source: str = "speech") -> Reading:
    match = TermMatch("medical_claim", strength, "cure", "治好", 2, 4, "治好", "spelling", "x:1")  # type: ignore[arg-type]
    return Reading(Utterance("喝茶治好病", source, 1.0, 2.0), match)  # type: ignore[arg-type]


class TestDecide:
    @pytest.mark.parametrize(
        ("strength", "review", "block", "action"),
        [
            ("block", "auto", "auto", Action.BLOCK),
            ("block", "auto", "off", Action.REVIEW),
            ("block", "off", "off", None),
            ("review", "auto", "auto", Action.REVIEW),
            ("review", "off", "auto", None),
        ],
    )
    def test_a_terms_strength_names_its_action_and_off_lowers_it(
        self, policy: Policy, strength: str, review: str, block: str, action: Action | None
    ) -> None:
        changed = with_label(policy, "medical_claim", review=review, block=block)
        findings = term_findings(changed, [reading(strength)], None)
        assert [f.action for f in findings] == ([action] if action else [])

    def test_a_finding_shows_words_span_and_law(self, policy: Policy) -> None:
        (finding,) = term_findings(policy, [reading("block")], None)
        assert finding.text is not None
        assert finding.span == (2, 4)
        assert finding.text[2:4] == finding.normalised == "治好"
        assert "广告法" in finding.basis

    def test_comments_are_no_claims_of_the_seller(self, policy: Policy) -> None:
        assert term_findings(policy, [reading("block", "comment")], None) == []

    def test_an_approved_drug_may_state_its_indication(self, policy: Policy) -> None:
        bare = meta(category="drug")
        proven = meta(category="drug", qualifications=["国药准字H20013062", "国药广审（文）第250101-00001号"])
        assert term_findings(policy, [reading("block")], bare)
        assert term_findings(policy, [reading("block")], proven) == []

    @pytest.mark.parametrize(("score", "action"), [(0.2, None), (0.5, Action.REVIEW), (0.9, Action.BLOCK)])
    def test_scores_meet_thresholds(self, policy: Policy, score: float, action: Action | None) -> None:
        changed = with_label(policy, "qr_code_diversion", review=0.5, block=0.9)
        finding = Finding("qr_code_diversion", score, Action.REVIEW, "visual", "qr")
        settled = settle(changed, finding, None)
        assert (settled.action if settled else None) == action

    def test_auto_takes_the_bundles_thresholds_and_is_silent_without(self, policy: Policy) -> None:
        finding = Finding("medical_claim", 0.7, Action.REVIEW, "speech", "text-classifier")
        assert settle(policy, finding, None) is None
        settled = settle(policy, finding, None, {"medical_claim": (0.6, 0.9)})
        assert settled is not None
        assert settled.action is Action.REVIEW

    def test_the_most_severe_finding_decides(self) -> None:
        findings = [
            Finding("qr_code_diversion", 0.6, Action.REVIEW, "visual", "qr"),
            Finding("medical_claim", 0.95, Action.BLOCK, "speech", "lexicon"),
        ]
        assert suggest(findings) is Action.BLOCK
        assert suggest([]) is Action.PASS

    def test_scores_are_the_highest_of_findings_and_classifier(self, policy: Policy) -> None:
        finding = Finding("medical_claim", 0.6, Action.REVIEW, "speech", "lexicon")
        thought = Meaning(Utterance("x", "speech"), Classification({"medical_claim": 0.9, "superstition": 0.2}, {}))
        assert label_scores(policy, [finding])["medical_claim"] == 0.6
        scores = label_scores(policy, [finding], [thought])
        assert (scores["medical_claim"], scores["superstition"], scores["absolute_term"]) == (0.9, 0.2, 0.0)
        comment = Meaning(Utterance("x", "comment"), thought.classification)
        assert label_scores(policy, [], [comment])["superstition"] == 0.0

    def test_the_classifier_finds_from_the_review_threshold_on(self, policy: Policy) -> None:
        auto = {"medical_claim": (0.6, 0.9), "superstition": (0.5, None)}
        said = Utterance("喝了它血糖自己就下来", "speech", 1.0, 2.0)
        thought = Classification(
            {"medical_claim": 0.7, "superstition": 0.99, "absolute_term": 0.99},
            {
                "medical_claim": Evidence("medical_claim", ((3, 10),)),
                "superstition": Evidence("superstition", ()),
                "absolute_term": Evidence("absolute_term", ((0, 2),)),
            },
        )
        found = classifier_findings(policy, [Meaning(said, thought)], None, auto)
        assert [(f.label, f.action, f.span, f.detector, f.start_s) for f in found] == [
            ("medical_claim", Action.REVIEW, (3, 10), "text-classifier", 1.0),
            ("superstition", Action.REVIEW, (0, 10), "text-classifier", 1.0),
        ]

    def test_a_pair_does_not_repeat_what_one_of_the_two_says(self, policy: Policy) -> None:
        auto = {"medical_claim": (0.6, None)}
        strong = Classification({"medical_claim": 0.8}, {"medical_claim": Evidence("medical_claim", ((0, 1),))})
        weak = Classification({"medical_claim": 0.3}, {})
        both = Utterance("a b", "speech", 0.0, 2.0)
        assert not classifier_findings(policy, [Meaning(both, strong, (weak, strong))], None, auto)
        assert classifier_findings(policy, [Meaning(both, strong, (weak, weak))], None, auto)

    def test_comments_are_not_held_against_the_seller(self, policy: Policy) -> None:
        strong = Classification({"medical_claim": 0.8}, {"medical_claim": Evidence("medical_claim", ((0, 1),))})
        meanings = [Meaning(Utterance("x", "comment"), strong)]
        assert not classifier_findings(policy, meanings, None, {"medical_claim": (0.6, None)})

    def test_the_same_words_are_reported_once_by_the_more_severe_detector(self) -> None:
        term = Finding("medical_claim", 0.6, Action.REVIEW, "speech", "lexicon", text="abcdef", span=(1, 4), how="t")
        meant = replace(term, score=0.97, action=Action.BLOCK, detector="text-classifier", span=(2, 6), how="m")
        (one,) = fuse([term], [meant])
        assert (one.detector, one.action, one.score) == ("text-classifier", Action.BLOCK, 0.97)
        assert "lexicon" in one.how
        (other,) = fuse([term], [replace(meant, action=Action.REVIEW)])
        assert (other.detector, other.score) == ("lexicon", 0.97)
        assert len(fuse([term], [replace(meant, span=(4, 6))])) == 2
        assert len(fuse([term], [replace(meant, label="superstition")])) == 2
        assert len(fuse([term], [replace(meant, text="another")])) == 2

    def test_review_above_block_is_refused(self) -> None:
        with pytest.raises(ValueError, match="above block"):
            LabelPolicy(title={"zh": "x"}, review=0.9, block=0.5, basis="", guidance="")


class TestBrands:
    def found(self, policy: Policy, words: BrandWords, said: list[tuple[str, str]], **values: object) -> list[str]:
        utterances = [Utterance(text, source, float(i), i + 1.0) for i, (source, text) in enumerate(said)]  # type: ignore[arg-type]
        findings = brand_findings(words, policy.rules.brand_words, utterances, meta(**values))
        return [f.how.split()[1] for f in findings]

    def test_a_brand_in_the_title_needs_authorisation(self, policy: Policy, words: BrandWords) -> None:
        assert self.found(policy, words, [("title", "耐克运动鞋秋款")]) == ["nike"]
        assert self.found(policy, words, [("title", "耐克运动鞋秋款")], authorised_brands=["Nike"]) == []
        assert self.found(policy, words, [("title", "耐克运动鞋秋款")], authorised_brands=["李宁"]) == ["nike"]

    def test_talk_of_a_brand_counts_near_a_selling_word_or_repeated(self, policy: Policy, words: BrandWords) -> None:
        assert self.found(policy, words, [("speech", "昨天看见有人穿耐克跑步")]) == []
        assert self.found(policy, words, [("speech", "这双就是耐克专柜同款")]) == ["nike"]
        assert self.found(policy, words, [("speech", "耐克今天到货")] * 3) == ["nike"]

    @pytest.mark.parametrize(
        "title", ["阳台小苹果树苗", "适用苹果手机的保护壳", "二手耐克闲置", "比耐克便宜", "unikeep 收纳盒"]
    )
    def test_plain_words_accessories_and_used_goods_are_none(
        self, policy: Policy, words: BrandWords, title: str
    ) -> None:
        assert self.found(policy, words, [("title", title)]) == []

    def test_an_ambiguous_name_counts_near_its_context(self, policy: Policy, words: BrandWords) -> None:
        assert self.found(policy, words, [("title", "苹果手机全新未拆")]) == ["apple"]

    def test_disguised_names_are_read(self, policy: Policy, words: BrandWords) -> None:
        assert self.found(policy, words, [("title", "ＮＩＫＥ 跑鞋")]) == ["nike"]


class TestGoods:
    def test_a_price_below_the_floor(self, policy: Policy, words: BrandWords) -> None:
        def price(value: float, **more: object) -> list[float]:
            values = {"title": "耐克跑鞋", "category": "footwear", "price": value, **more}
            return [f.score for f in price_findings(words, policy.rules.price, meta(**values))]

        assert price(130.0) == []
        assert price(100.0) == [policy.rules.price.score.below_floor]
        assert price(30.0) == [policy.rules.price.score.severe]
        assert price(30.0, currency="USD") == []
        assert price(30.0, category="bags") == []
        assert price(30.0, title="二手 耐克跑鞋") == []
        assert price(30.0, title="耐克跑鞋 鞋带") == []

    def test_a_licence_that_the_goods_need(self) -> None:
        def missing(**values: object) -> list[str]:
            return [f.label for f in qualification_findings(QUALIFICATIONS, 0.7, meta(**values))]

        assert missing(category="drug") == ["missing_qualification"]
        assert missing(category="drug", qualifications=["国药准字H20013062"]) == []
        assert missing(category="drug", qualifications=["国药准字H2001"]) == ["missing_qualification"]
        assert missing(category="appliance", title="六孔插排带线") == ["missing_qualification"]
        assert missing(category="appliance", title="电饭锅") == []
        assert missing(category="appliance", title="过家家玩具插排") == []
        assert missing(category="food") == []
        assert missing() == []


def test_the_hash_covers_every_file(policy: Policy, tmp_path: Path) -> None:
    import shutil

    from moderation.policy.load import folder_hash

    copy = tmp_path / "policy"
    shutil.copytree(policy.folder, copy)
    assert folder_hash(copy) == policy.hash
    guards = copy / "guards.yaml"
    guards.write_text(guards.read_text("utf-8") + "\n# an edit\n", "utf-8")
    assert folder_hash(copy) != policy.hash
