-- What was seen and must not be forgotten, for the report.
CREATE TABLE witnessed (
  id    INTEGER PRIMARY KEY AUTOINCREMENT,
  event TEXT NOT NULL,
  doc   TEXT NOT NULL CHECK (json_valid(doc))
) STRICT;
CREATE TRIGGER witnessed_stays BEFORE UPDATE ON witnessed BEGIN SELECT RAISE(ABORT, 'what was witnessed is never changed'); END;
CREATE TRIGGER witnessed_keeps BEFORE DELETE ON witnessed BEGIN SELECT RAISE(ABORT, 'what was witnessed is never deleted'); END;
