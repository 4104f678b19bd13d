-- The guard of the audit log, made and owned by a superuser (registry/ownership.py). Event triggers refuse every DDL
-- command of somebody else that touches the log or one of the triggers that feed and protect it; commands of a superuser
-- they let pass, and write them down in the stream system:ddl. A superuser who first switches the event triggers off is
-- seen by nobody here; that is what checkpoints outside the database are for.
--
-- Whether a superuser acts is asked of is_superuser: it follows SET ROLE, and SECURITY DEFINER does not change it.

CREATE SCHEMA IF NOT EXISTS audit_guard;
REVOKE ALL ON SCHEMA audit_guard FROM PUBLIC;

-- Which triggers have to be there, each with all that makes it what it is.
CREATE TABLE IF NOT EXISTS audit_guard.kept (
    place    text COLLATE "C",
    trigger  text COLLATE "C",
    made     text COLLATE "C" NOT NULL,
    CONSTRAINT pk_kept PRIMARY KEY (place, trigger)
);
REVOKE ALL ON audit_guard.kept FROM PUBLIC;

CREATE OR REPLACE FUNCTION audit_guard.is_whole() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
    SELECT NOT EXISTS (
        SELECT place, trigger, made FROM audit_guard.kept
        EXCEPT
        SELECT n.nspname || '.' || c.relname, t.tgname,
            concat_ws(' ', t.tgfoid::regprocedure, t.tgtype, t.tgenabled, encode(t.tgargs, 'hex'),
                CASE WHEN t.tgqual IS NOT NULL THEN pg_get_triggerdef(t.oid) END, nullif(t.tgattr::text, ''))
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE NOT t.tgisinternal)
$f$;

-- The table that a trigger, a rule or a policy hangs on, or the table itself; NULL for anything else.
CREATE OR REPLACE FUNCTION audit_guard.table_of(p_class oid, p_object oid) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
    SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = CASE p_class
        WHEN 'pg_class'::regclass THEN p_object
        WHEN 'pg_trigger'::regclass THEN (SELECT tgrelid FROM pg_trigger WHERE oid = p_object)
        WHEN 'pg_rewrite'::regclass THEN (SELECT ev_class FROM pg_rewrite WHERE oid = p_object)
        WHEN 'pg_policy'::regclass THEN (SELECT polrelid FROM pg_policy WHERE oid = p_object)
    END
$f$;

CREATE OR REPLACE FUNCTION audit_guard.is_log(p_schema text) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $f$
    SELECT coalesce(p_schema IN ('audit', 'audit_guard'), false)
$f$;

CREATE OR REPLACE FUNCTION audit_guard.refuse(p_command text, p_what text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $f$
BEGIN
    RAISE EXCEPTION 'the audit log is guarded: % on % needs a superuser', p_command, p_what
        USING ERRCODE = 'insufficient_privilege';
END $f$;

-- Writes that a superuser did this. Where the log cannot take it, because the log is what was taken away or is being
-- repaired, a warning goes to the server's own log: a superuser is told apart here, not stopped.
CREATE OR REPLACE FUNCTION audit_guard.tell(p_command text, p_objects text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
    v_actor text := coalesce(current_setting('app.actor', true), '');
    v_request text := coalesce(current_setting('app.request_id', true), '');
BEGIN
    PERFORM set_config('app.actor', coalesce(nullif(v_actor, ''), 'database:' || session_user), true);
    PERFORM set_config('app.request_id', coalesce(nullif(v_request, ''), gen_random_uuid()::text), true);
    PERFORM audit.append('system:ddl', 'system.ddl', 'system:ddl', '{}', jsonb_build_object(
        'command', jsonb_build_array(NULL, p_command), 'objects', jsonb_build_array(NULL, p_objects[1:50])));
    PERFORM set_config('app.actor', v_actor, true), set_config('app.request_id', v_request, true);
EXCEPTION
    WHEN OTHERS THEN
        RAISE WARNING 'the audit log cannot take down this command: %', SQLERRM;
END $f$;

CREATE OR REPLACE FUNCTION audit_guard.command() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
    v_log text[];
    v_captured text[];
BEGIN
    SELECT array_agg(DISTINCT c.object_identity ORDER BY c.object_identity) FILTER (WHERE
            audit_guard.is_log(c.schema_name)
            OR audit_guard.is_log(split_part(audit_guard.table_of(c.classid, c.objid), '.', 1))
            OR c.classid = 'pg_namespace'::regclass AND audit_guard.is_log(c.object_identity)),
        array_agg(DISTINCT c.object_identity ORDER BY c.object_identity) FILTER (WHERE
            audit_guard.table_of(c.classid, c.objid) IN (SELECT place FROM audit_guard.kept))
        INTO v_log, v_captured
        FROM pg_event_trigger_ddl_commands() c WHERE c.objid IS NOT NULL;
    IF NOT current_setting('is_superuser')::boolean THEN
        IF v_log IS NOT NULL THEN
            PERFORM audit_guard.refuse(tg_tag, array_to_string(v_log, ', '));
        ELSIF NOT audit_guard.is_whole() THEN
            PERFORM audit_guard.refuse(tg_tag, 'a trigger that feeds or protects it');
        END IF;
    ELSIF coalesce(v_log, v_captured) IS NOT NULL THEN
        PERFORM audit_guard.tell(tg_tag, coalesce(v_log, '{}') || coalesce(v_captured, '{}'));
    END IF;
END $f$;

CREATE OR REPLACE FUNCTION audit_guard.dropped() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
    v_log text[];
BEGIN
    SELECT array_agg(DISTINCT d.object_identity ORDER BY d.object_identity) INTO v_log
        FROM pg_event_trigger_dropped_objects() d
        WHERE audit_guard.is_log(d.schema_name) OR audit_guard.is_log(d.address_names[1])
            OR (array_to_string(d.address_names[1:2], '.'), d.address_names[3])
                IN (SELECT place, trigger FROM audit_guard.kept);
    IF v_log IS NULL THEN
        RETURN;
    ELSIF current_setting('is_superuser')::boolean THEN
        PERFORM audit_guard.tell(tg_tag, v_log);
    ELSE
        PERFORM audit_guard.refuse(tg_tag, array_to_string(v_log[1:5], ', '));
    END IF;
END $f$;

-- A rewrite (ALTER COLUMN ... TYPE ... USING) changes rows and fires no row trigger.
CREATE OR REPLACE FUNCTION audit_guard.rewritten() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
    v_table text := audit_guard.table_of('pg_class'::regclass, pg_event_trigger_table_rewrite_oid());
BEGIN
    IF NOT current_setting('is_superuser')::boolean AND (audit_guard.is_log(split_part(v_table, '.', 1))
            OR v_table IN (SELECT place FROM audit_guard.kept)) THEN
        PERFORM audit_guard.refuse(tg_tag, 'the rows of ' || v_table);
    END IF;
END $f$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA audit_guard FROM PUBLIC;
