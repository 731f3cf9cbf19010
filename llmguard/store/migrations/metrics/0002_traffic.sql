-- From when until when a process went by which revision.
CREATE TABLE applied (
  process TEXT NOT NULL,
  env TEXT NOT NULL,
  at REAL NOT NULL,
  last_at REAL NOT NULL,
  rev BIGINT NOT NULL,
  experiments_rev BIGINT NOT NULL,
  lock TEXT NOT NULL,
  stale INTEGER NOT NULL,
  PRIMARY KEY (process, env, at)
) WITHOUT ROWID;
CREATE INDEX applied_by_time ON applied (env, at);

-- What providers said they served, in buckets of five minutes.
CREATE TABLE served (
  env TEXT NOT NULL,
  route TEXT NOT NULL,
  bucket BIGINT NOT NULL,
  pin TEXT NOT NULL,
  process TEXT NOT NULL,
  model TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  verdict TEXT NOT NULL,
  n BIGINT NOT NULL,
  last_at REAL NOT NULL,
  PRIMARY KEY (env, route, bucket, pin, process, model, fingerprint, verdict)
) WITHOUT ROWID;
CREATE INDEX served_by_time ON served (bucket);

-- How the arms of experiments and canaries did, per hour.
CREATE TABLE arms (
  env TEXT NOT NULL,
  experiment TEXT NOT NULL,
  hour BIGINT NOT NULL,
  arm TEXT NOT NULL,
  pin TEXT NOT NULL,
  measure TEXT NOT NULL,
  n BIGINT NOT NULL,
  total REAL NOT NULL,
  PRIMARY KEY (env, experiment, hour, arm, pin, measure)
) WITHOUT ROWID;

-- Who saw which arm first at which revision; the units are hashes.
CREATE TABLE exposures (
  env TEXT NOT NULL,
  experiment TEXT NOT NULL,
  unit TEXT NOT NULL,
  arm TEXT NOT NULL,
  pin TEXT NOT NULL,
  rev BIGINT NOT NULL,
  first_at REAL NOT NULL,
  last_at REAL NOT NULL,
  n BIGINT NOT NULL,
  PRIMARY KEY (env, experiment, unit, arm)
) WITHOUT ROWID;
