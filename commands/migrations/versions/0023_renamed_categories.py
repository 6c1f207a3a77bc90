"""Reports are found by the name of their category: when it changes, they are read anew."""

from __future__ import annotations

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

FUNCTION = """
CREATE FUNCTION category_renamed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_TABLE_NAME = 'category' THEN
    INSERT INTO search_due (municipality_id, report_id) SELECT municipality_id, id FROM report
    WHERE category_id = NEW.id;
  ELSE
    INSERT INTO search_due (municipality_id, report_id) SELECT report.municipality_id, report.id
    FROM report JOIN category ON category.id = report.category_id
    WHERE report.municipality_id = coalesce(NEW.municipality_id, OLD.municipality_id)
      AND category.slug = coalesce(NEW.slug, OLD.slug);
  END IF;
  RETURN NULL;
END $$;
"""

TRIGGERS = """
CREATE TRIGGER category_renamed AFTER UPDATE ON category FOR EACH ROW
  WHEN ((OLD.name_it, OLD.name_en) IS DISTINCT FROM (NEW.name_it, NEW.name_en)) EXECUTE FUNCTION category_renamed();
CREATE TRIGGER override_renamed AFTER UPDATE ON category_override FOR EACH ROW
  WHEN ((OLD.name_it, OLD.name_en) IS DISTINCT FROM (NEW.name_it, NEW.name_en)) EXECUTE FUNCTION category_renamed();
CREATE TRIGGER override_named AFTER INSERT ON category_override FOR EACH ROW
  WHEN (NEW.name_it IS NOT NULL OR NEW.name_en IS NOT NULL) EXECUTE FUNCTION category_renamed();
CREATE TRIGGER override_unnamed AFTER DELETE ON category_override FOR EACH ROW
  WHEN (OLD.name_it IS NOT NULL OR OLD.name_en IS NOT NULL) EXECUTE FUNCTION category_renamed();
"""


def upgrade() -> None:
    """Go up."""
    op.execute(FUNCTION)
    op.execute(TRIGGERS)


def downgrade() -> None:
    """Go back."""
    op.execute("DROP TRIGGER category_renamed ON category")
    for trigger in ("override_renamed", "override_named", "override_unnamed"):
        op.execute(f"DROP TRIGGER {trigger} ON category_override")
    op.execute("DROP FUNCTION category_renamed()")
