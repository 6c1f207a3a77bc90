"""The rows of roles: what appointments carry."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from city.database import Base


class Role(Base):
    """A name for some rights; the province's roles are there for every municipality."""

    __tablename__ = "role"
    __table_args__ = (
        CheckConstraint("NOT is_built_in OR municipality_id = 0", name="built_in"),
        CheckConstraint("cardinality(rights) > 0", name="rights"),
    )

    municipality_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    slug: Mapped[str] = mapped_column(primary_key=True)
    name_it: Mapped[str]
    name_en: Mapped[str]
    rights: Mapped[list[str]] = mapped_column(ARRAY(Text))
    is_of_crew: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether an appointment to it names a crew, and covers only what that crew has."""
    is_built_in: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether it came with the program, and stays."""
