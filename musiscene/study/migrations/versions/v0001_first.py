"""The tables of a study: who takes part, what was planned, what was answered, what happened."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "study_studies",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("bundle_sha256", sa.String(64), nullable=False),
        sa.Column("design", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("name", name="study_has_one_name"),
    )
    op.create_table(
        "study_participants",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("study_id", _ID, sa.ForeignKey("study_studies.id", name="participant_of_study"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("external_id", sa.String(128), nullable=True),
        sa.Column("external_study", sa.String(128), nullable=True),
        sa.Column("external_session", sa.String(128), nullable=True),
        sa.Column("language", sa.String(8), nullable=False),
        sa.Column("agent", sa.String(32), nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("block", sa.Integer, nullable=False),
        sa.Column("row_offset", sa.Integer, nullable=False),
        sa.Column("consent_sha256", sa.String(64), nullable=True),
        sa.Column("consented_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("declined_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.UniqueConstraint("study_id", "number", name="participant_has_one_number"),
        sa.UniqueConstraint("study_id", "external_id", name="participant_comes_once"),
    )
    op.create_table(
        "study_tokens",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column(
            "participant_id",
            _ID,
            sa.ForeignKey("study_participants.id", name="token_of_participant", ondelete="CASCADE"),
            nullable=False,
        ),
    )
    op.create_index("study_tokens_by_participant", "study_tokens", ["participant_id"])
    op.create_table(
        "study_steps",
        sa.Column("id", _ID, primary_key=True),
        sa.Column(
            "participant_id",
            _ID,
            sa.ForeignKey("study_participants.id", name="step_of_participant", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("public_id", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("item", sa.Integer, nullable=True),
        sa.Column("item_name", sa.String(255), nullable=True),
        sa.Column("square_row", sa.Integer, nullable=False),
        sa.Column("secret", sa.JSON, nullable=False),
        sa.Column("answer", sa.JSON, nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("save_id", sa.String(64), nullable=True),
        sa.Column("save_sha256", sa.String(64), nullable=True),
        sa.UniqueConstraint("participant_id", "position", name="one_step_at_each_position"),
        sa.UniqueConstraint("participant_id", "save_id", name="a_save_happens_once"),
        sa.UniqueConstraint("public_id", name="step_has_one_public_id"),
        sa.UniqueConstraint("id", "participant_id", name="step_and_participant"),
        sa.CheckConstraint("(saved_at IS NULL) = (save_id IS NULL)", name="a_saved_step_has_its_save"),
    )
    op.create_table(
        "study_stimuli",
        sa.Column("id", _ID, primary_key=True),
        sa.Column(
            "step_id", _ID, sa.ForeignKey("study_steps.id", name="stimulus_of_step", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("public_id", sa.String(32), nullable=False),
        sa.Column("condition", sa.String(64), nullable=False),
        sa.Column("item", sa.Integer, nullable=False),
        sa.UniqueConstraint("step_id", "position", name="one_stimulus_at_each_position"),
        sa.UniqueConstraint("public_id", name="stimulus_has_one_public_id"),
        sa.UniqueConstraint("id", "step_id", name="stimulus_and_step"),
    )
    op.create_table(
        "study_ratings",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("participant_id", _ID, nullable=False),
        sa.Column("step_id", _ID, nullable=False),
        sa.Column("stimulus_id", _ID, nullable=False),
        sa.Column("value", sa.Float, nullable=False),
        sa.Column("listened_s", sa.Float, nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["step_id", "participant_id"],
            ["study_steps.id", "study_steps.participant_id"],
            name="rating_of_own_step",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["stimulus_id", "step_id"],
            ["study_stimuli.id", "study_stimuli.step_id"],
            name="rating_of_own_stimulus",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint("participant_id", "step_id", "stimulus_id", name="one_rating_of_a_stimulus"),
        sa.CheckConstraint("value >= 0 AND value <= 100", name="rating_is_0_to_100"),
        sa.CheckConstraint("listened_s >= 0", name="listened_is_not_negative"),
    )
    op.create_table(
        "study_events",
        sa.Column("id", _ID, primary_key=True),
        sa.Column(
            "participant_id",
            _ID,
            sa.ForeignKey("study_participants.id", name="event_of_participant", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column(
            "step_id", _ID, sa.ForeignKey("study_steps.id", name="event_of_step", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("at_s", sa.Float, nullable=False),
        sa.Column("media_s", sa.Float, nullable=True),
        sa.Column("slot", sa.Integer, nullable=True),
        sa.Column("value", sa.Float, nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("participant_id", "client_id", name="an_event_is_told_once"),
    )
    op.create_index("study_events_by_step", "study_events", ["step_id"])
