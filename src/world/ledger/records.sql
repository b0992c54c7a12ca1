-- What the target had of users of whom it was not known when they were first seen: NULL is "no record". The last line counts.
CREATE TABLE baseline_records (
  id INTEGER PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES baseline_users (id),
  target TEXT
) STRICT;
CREATE TRIGGER records_stay BEFORE UPDATE ON baseline_records BEGIN SELECT RAISE(ABORT, 'the baseline only grows'); END;
CREATE TRIGGER records_keep BEFORE DELETE ON baseline_records BEGIN SELECT RAISE(ABORT, 'the baseline only grows'); END;
