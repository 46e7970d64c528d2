"""What Python answers is named in two places, of which the lower one can't import the other: they agree."""

from __future__ import annotations

from sixfold.engine.analyzer.host import HOST_FUNCTIONS, HOST_SETS
from sixfold.engine.catalog.system import HOSTED
from sixfold.engine.host import LAX, STRICT
from sixfold.engine.host.relations import FUNCTIONS, MAKERS


def test_every_relation_that_python_makes_is_served_and_made() -> None:
    assert set(MAKERS) == HOSTED


def test_the_analyzer_knows_what_python_answers() -> None:
    assert set(STRICT) | set(LAX) <= HOST_FUNCTIONS
    assert set(FUNCTIONS) <= HOST_SETS
