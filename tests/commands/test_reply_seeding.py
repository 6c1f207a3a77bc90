"""The seed's reply templates: each fits a category that there is, a step that there is, and can be filled in."""

from __future__ import annotations

import tomllib

from city.reports.lifecycle import MOVES
from commands.seeding.learning import groups_of_categories
from commands.seeding.templates import TEMPLATES, templates


def test_every_template_of_the_seed_is_one_that_staff_could_save() -> None:
    slugs = [template["slug"] for template in tomllib.loads(TEMPLATES.read_text("utf-8"))["template"]]
    assert len(slugs) == len(set(slugs))
    groups = groups_of_categories()
    steps = {there for _, there in MOVES}
    for slug, fields in templates().items():
        assert fields.checked() == fields, slug
        assert fields.category is None or fields.category in groups, slug
        assert fields.group is None or fields.group in groups.values(), slug
        assert fields.state is None or fields.state in steps, slug


def test_the_commonest_groups_have_something_to_say_when_solved() -> None:
    groups = groups_of_categories()
    solved = {fields.group or groups.get(fields.category or "") for fields in templates().values() if fields.state}
    assert {"roads", "lighting", "green", "waste", "water", "decorum", "safety"} <= solved
