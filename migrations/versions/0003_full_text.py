"""Full text: what a word is, and indexes of the words in names, descriptions, tags and comments.

`registry.lexemes` is the one definition of a word. What is looked for is cut at the same characters, in
registry/domain/full_text.py. Whoever changes the function has to build the indexes anew.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Only the first 16,384 characters of a text are indexed, before and after it is brought into one form (which can make
# it 18 times as long): a tsvector of more than 1 MB is an error, and no text that may be stored may fail here. A
# camelCase word is kept whole, cut where a capital follows a small letter, and cut before the last capital of several:
# MyXGBoostModel is found by xgboost as well as by boost. All rules but the letter case, which is that of the whole
# database, are the same everywhere.
LEXEMES = r"""
CREATE FUNCTION registry.lexemes(p_text text) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 1000 SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
    v_plain text COLLATE "C" := regexp_replace(
        left(normalize(left(p_text, 16384), NFKC), 16384) COLLATE "C",
        '[\u0001-\u002F\u003A-\u0040\u005B-\u0060\u007B-\u00A9\u00AB-\u00B4\u00B6-\u00B9\u00BB-\u00BF\u00D7\u00F7'
        '\u2000-\u206F\u2190-\u2BFF\u2CF9-\u2CFF\u3000-\u3004\u3008-\u3020\u3030]+', ' ', 'g');
    v_words text COLLATE "C" := regexp_replace(v_plain, '([a-z0-9])([A-Z])', '\1 \2', 'g');
    v_parts text COLLATE "C" := regexp_replace(v_words, '([A-Z])([A-Z][a-z])', '\1 \2', 'g');
BEGIN
    IF v_parts = v_plain THEN
        RETURN to_tsvector('simple', v_plain);
    END IF;
    RETURN to_tsvector('simple', concat_ws(' ', v_plain, v_words, v_parts));
END $f$;
"""
INDEXES = """
CREATE INDEX ix_registered_models_words ON registry.registered_models
    USING gin (registry.lexemes(name), registry.lexemes(description)) WHERE deleted_at IS NULL;
CREATE INDEX ix_model_versions_words ON registry.model_versions
    USING gin (registry.lexemes(description)) WHERE deleted_at IS NULL;
CREATE INDEX ix_registered_model_tags_words ON registry.registered_model_tags
    USING gin (registry.lexemes(key), registry.lexemes(value));
CREATE INDEX ix_model_version_tags_words ON registry.model_version_tags
    USING gin (registry.lexemes(key), registry.lexemes(value));
CREATE INDEX ix_comments_words ON registry.comments USING gin (registry.lexemes(text));
"""


def upgrade() -> None:
    for statements in (LEXEMES, INDEXES):
        op.get_bind().execution_options(no_parameters=True).exec_driver_sql(statements)
