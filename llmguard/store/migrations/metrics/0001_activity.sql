-- Counts per minute, so that "since" means something and old rows can be dropped.
CREATE TABLE activity (
  minute INTEGER NOT NULL,
  function TEXT NOT NULL,
  tier TEXT NOT NULL,
  pin TEXT NOT NULL,
  kind TEXT NOT NULL,
  n INTEGER NOT NULL,
  last_at REAL NOT NULL,
  total_elapsed REAL NOT NULL,
  PRIMARY KEY (minute, function, tier, pin, kind)
) WITHOUT ROWID;

CREATE TABLE processes (
  process TEXT PRIMARY KEY,
  at REAL NOT NULL,
  info TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX processes_at ON processes (at);
