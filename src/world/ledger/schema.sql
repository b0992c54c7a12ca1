-- One ledger belongs to one retirement. What was once written about users, groups and writes is never changed or removed.
PRAGMA application_id = 1970172771;

-- tenant, app, job, scim_url, baseline_taken
CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE baseline_groups (
  id           TEXT PRIMARY KEY,
  display_name TEXT NOT NULL,
  scim         TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE baseline_roles (
  group_id TEXT NOT NULL REFERENCES baseline_groups (id),
  role     TEXT NOT NULL,
  PRIMARY KEY (group_id, role)
) STRICT, WITHOUT ROWID;

CREATE TABLE baseline_users (
  id       TEXT PRIMARY KEY,
  name     TEXT,
  disabled INTEGER NOT NULL CHECK (disabled IN (0, 1)),
  -- The record at the target when they were first seen, as JSON.
  target   TEXT CHECK (target IS NULL OR json_valid(target))
) STRICT, WITHOUT ROWID;

CREATE TABLE baseline_members (
  user_id  TEXT NOT NULL REFERENCES baseline_users (id),
  group_id TEXT NOT NULL,
  PRIMARY KEY (user_id, group_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE remembered (
  id  INTEGER PRIMARY KEY CHECK (id = 1),
  doc TEXT NOT NULL CHECK (json_valid(doc))
) STRICT;

CREATE TABLE covered (
  user_id TEXT NOT NULL,
  role    TEXT NOT NULL,
  since   TEXT NOT NULL,
  PRIMARY KEY (user_id, role)
) STRICT, WITHOUT ROWID;

CREATE TABLE journal (
  id                INTEGER PRIMARY KEY AUTOINCREMENT,
  at                TEXT NOT NULL,
  turn              INTEGER NOT NULL,
  kind              TEXT NOT NULL,
  key               TEXT NOT NULL,
  phase             TEXT NOT NULL CHECK (phase IN ('intent', 'outcome')),
  -- Of an intent.
  action            TEXT CHECK (action IS NULL OR json_valid(action)),
  -- Of an outcome.
  intent            INTEGER REFERENCES journal (id),
  outcome           TEXT CHECK (outcome IN ('done', 'failed', 'open')),
  service_at        TEXT,
  already           INTEGER CHECK (already IN (0, 1)),
  request_id        TEXT,
  client_request_id TEXT,
  text              TEXT,
  CHECK ((phase = 'intent') = (action IS NOT NULL)),
  CHECK ((phase = 'outcome') = (intent IS NOT NULL)),
  CHECK ((phase = 'outcome') = (outcome IS NOT NULL)),
  CHECK ((outcome IS 'done') = (service_at IS NOT NULL))
) STRICT;
CREATE INDEX journal_intent ON journal (intent);

CREATE TRIGGER meta_stays BEFORE UPDATE ON meta BEGIN SELECT RAISE(ABORT, 'meta is never changed'); END;
CREATE TRIGGER meta_keeps BEFORE DELETE ON meta BEGIN SELECT RAISE(ABORT, 'meta is never deleted from'); END;
CREATE TRIGGER groups_stay BEFORE UPDATE ON baseline_groups BEGIN SELECT RAISE(ABORT, 'the baseline only grows'); END;
CREATE TRIGGER groups_keep BEFORE DELETE ON baseline_groups BEGIN SELECT RAISE(ABORT, 'the baseline only grows'); END;
CREATE TRIGGER roles_stay BEFORE UPDATE ON baseline_roles BEGIN SELECT RAISE(ABORT, 'the baseline only grows'); END;
CREATE TRIGGER roles_keep BEFORE DELETE ON baseline_roles BEGIN SELECT RAISE(ABORT, 'the baseline only grows'); END;
CREATE TRIGGER users_stay BEFORE UPDATE ON baseline_users BEGIN SELECT RAISE(ABORT, 'the baseline only grows'); END;
CREATE TRIGGER users_keep BEFORE DELETE ON baseline_users BEGIN SELECT RAISE(ABORT, 'the baseline only grows'); END;
CREATE TRIGGER members_stay BEFORE UPDATE ON baseline_members BEGIN SELECT RAISE(ABORT, 'the baseline only grows'); END;
CREATE TRIGGER members_keep BEFORE DELETE ON baseline_members BEGIN SELECT RAISE(ABORT, 'the baseline only grows'); END;
CREATE TRIGGER journal_stays BEFORE UPDATE ON journal BEGIN SELECT RAISE(ABORT, 'the journal is never changed'); END;
CREATE TRIGGER journal_keeps BEFORE DELETE ON journal BEGIN SELECT RAISE(ABORT, 'the journal is never deleted from'); END;
