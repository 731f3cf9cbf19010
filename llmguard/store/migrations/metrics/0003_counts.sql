-- Counts per minute (span 60), per hour (3600) and in all (0), exact.
CREATE TABLE counts (
  env TEXT NOT NULL,
  span INTEGER NOT NULL,
  start BIGINT NOT NULL,
  function TEXT NOT NULL,
  pin TEXT NOT NULL,
  tier TEXT NOT NULL,
  measure TEXT NOT NULL,
  label TEXT NOT NULL,
  n BIGINT NOT NULL,
  PRIMARY KEY (span, start, env, function, pin, tier, measure, label)
) WITHOUT ROWID;

-- The last batch of each source: what is repeated is not counted twice.
CREATE TABLE count_sources (
  source TEXT PRIMARY KEY,
  number BIGINT NOT NULL,
  at REAL NOT NULL
) WITHOUT ROWID;

-- What functions owe, for those who look from another process.
CREATE TABLE objectives (
  env TEXT NOT NULL,
  function TEXT NOT NULL,
  name TEXT NOT NULL,
  body TEXT NOT NULL,
  at REAL NOT NULL,
  PRIMARY KEY (env, function, name)
) WITHOUT ROWID;

-- Who says a thing that only one process should say.
CREATE TABLE claims (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL,
  at REAL NOT NULL
) WITHOUT ROWID;
