"""Load a policy folder: all its files or a full list of what is wrong with them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from moderation.errors import PolicyError
from moderation.policy.document import Document, read_document, validate
from moderation.policy.schema import Brand, BrandsFile, PolicyFile, QualificationsFile
from moderation.text.guards import Guards
from moderation.text.lexicon import Lexicon
from moderation.text.schema import Mistake, raise_for

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """A checked policy folder. `hash` covers every file of it and goes into each verdict."""

    folder: Path
    hash: str
    rules: PolicyFile
    brands: tuple[Brand, ...]
    qualifications: QualificationsFile
    lexicon: Lexicon
    guards: Guards

    @classmethod
    def load(cls, folder: Path | None = None) -> Policy:
        """Load `folder`, or the shipped policy. Raises PolicyError that lists every mistake with its line."""
        folder = folder or shipped_policy()
        policy, mistakes = read_policy(folder)
        raise_for(mistakes)
        if policy is None:
            raise PolicyError(f"{folder}: could not be loaded, and no mistake was found. Report this.")
        return policy


def read_policy(folder: Path) -> tuple[Policy | None, list[Mistake]]:
    """The policy of a folder, or None with everything that is wrong with it."""
    if not folder.is_dir():
        return None, [Mistake(str(folder), 1, 1, "no such folder", "give the folder that holds policy.yaml")]
    mistakes: list[Mistake] = []
    rules = _read(folder / "policy.yaml", PolicyFile, mistakes)
    brands = _read(folder / "brands.yaml", BrandsFile, mistakes)
    qualifications = _read(folder / "qualifications.yaml", QualificationsFile, mistakes)
    lexicon, lexicon_mistakes = Lexicon.read(folder / "lexicon")
    guards, guard_mistakes = Guards.read(folder / "guards.yaml")
    mistakes += lexicon_mistakes + guard_mistakes
    if rules and qualifications:
        mistakes += _unknown_qualifications(folder, rules, qualifications)
    if mistakes or rules is None or brands is None or qualifications is None:
        return None, mistakes
    guards = guards.without(rules.disabled_guards)
    return Policy(folder, folder_hash(folder), rules, brands.brands, qualifications, lexicon, guards), []


def shipped_policy() -> Path:
    """The policy folder of this installation: in the wheel, or in the checkout beside the package."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "configs" / "policy", package.parent / "configs" / "policy"):
        if folder.is_dir():
            return folder
    raise PolicyError(f"no policy folder beside {package}. Reinstall the package or give --policy DIR.")


def folder_hash(folder: Path) -> str:
    """`sha256:…` over the names and contents of all YAML files, so that any edit changes it."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.yaml"), key=lambda p: p.relative_to(folder).as_posix()):
        name = path.relative_to(folder).as_posix().encode()
        content = path.read_bytes()
        digest.update(len(name).to_bytes(4, "big") + name + len(content).to_bytes(8, "big") + content)
    return f"sha256:{digest.hexdigest()}"


def _read(path: Path, model: type[Model], mistakes: list[Mistake]) -> Model | None:
    document = read_document(path)
    if isinstance(document, Mistake):
        mistakes.append(document)
        return None
    checked = validate(document, model)
    if isinstance(checked, list):
        mistakes += checked
        return None
    return checked


def _unknown_qualifications(folder: Path, rules: PolicyFile, qualifications: QualificationsFile) -> list[Mistake]:
    document = read_document(folder / "policy.yaml")
    assert isinstance(document, Document)
    known = sorted({need.name for rule in qualifications.rules for need in rule.needs})
    return [
        Mistake(
            "policy.yaml",
            document.line(("switches", index, "needs_qualification")),
            1,
            f"no qualification named '{name}' in qualifications.yaml",
            f"known: {', '.join(known)}",
        )
        for index, switch in enumerate(rules.switches)
        for name in switch.needs_qualification
        if name not in known
    ]
