-- One hash for each line of the journal, over the line and the hash before it: see docs/evidence.md.
CREATE TABLE chain (
  id   INTEGER PRIMARY KEY REFERENCES journal (id),
  hash TEXT NOT NULL
) STRICT;
CREATE TRIGGER chain_stays BEFORE UPDATE ON chain BEGIN SELECT RAISE(ABORT, 'the journal is never changed'); END;
CREATE TRIGGER chain_keeps BEFORE DELETE ON chain BEGIN SELECT RAISE(ABORT, 'the journal is never deleted from'); END;
