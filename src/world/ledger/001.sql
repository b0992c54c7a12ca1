CREATE TABLE baseline (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    binding TEXT NOT NULL,
    taken   TEXT NOT NULL
) STRICT;

CREATE TABLE baseline_groups (
    id   TEXT PRIMARY KEY,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE baseline_users (
    id   TEXT PRIMARY KEY,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE remembered (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    body TEXT NOT NULL
) STRICT;

CREATE TABLE covered (
    user  TEXT NOT NULL,
    role  TEXT NOT NULL,
    since TEXT NOT NULL,
    PRIMARY KEY (user, role)
) STRICT;

CREATE TABLE journal (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    at                TEXT NOT NULL,
    turn              INTEGER NOT NULL,
    phase             TEXT NOT NULL CHECK (phase IN ('intent', 'outcome')),
    intent            INTEGER REFERENCES journal (id),
    kind              TEXT NOT NULL,
    key               TEXT NOT NULL,
    action            TEXT NOT NULL,
    outcome           TEXT CHECK (outcome IN ('done', 'already', 'failed', 'open')),
    service_at        TEXT,
    request_id        TEXT,
    client_request_id TEXT,
    message           TEXT
) STRICT;

CREATE TRIGGER journal_is_never_changed BEFORE UPDATE ON journal BEGIN SELECT RAISE(ABORT, 'the journal is never changed'); END;
CREATE TRIGGER journal_is_never_cut BEFORE DELETE ON journal BEGIN SELECT RAISE(ABORT, 'the journal is never cut'); END;
CREATE TRIGGER baseline_stays BEFORE DELETE ON baseline BEGIN SELECT RAISE(ABORT, 'the baseline only grows'); END;
CREATE TRIGGER baseline_is_taken_once BEFORE UPDATE ON baseline BEGIN SELECT RAISE(ABORT, 'the baseline is taken once'); END;
CREATE TRIGGER baseline_groups_stay BEFORE DELETE ON baseline_groups BEGIN SELECT RAISE(ABORT, 'the baseline only grows'); END;
CREATE TRIGGER baseline_users_stay BEFORE DELETE ON baseline_users BEGIN SELECT RAISE(ABORT, 'the baseline only grows'); END;
