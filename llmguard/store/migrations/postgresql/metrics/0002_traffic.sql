-- From when until when a process went by which revision.
CREATE TABLE applied (
  process TEXT COLLATE "C" NOT NULL,
  env TEXT COLLATE "C" NOT NULL,
  at DOUBLE PRECISION NOT NULL,
  last_at DOUBLE PRECISION NOT NULL,
  rev BIGINT NOT NULL,
  experiments_rev BIGINT NOT NULL,
  lock TEXT COLLATE "C" NOT NULL,
  stale BIGINT NOT NULL,
  PRIMARY KEY (process, env, at)
);
CREATE INDEX applied_by_time ON applied (env, at);

-- What providers said they served, in buckets of five minutes.
CREATE TABLE served (
  env TEXT COLLATE "C" NOT NULL,
  route TEXT COLLATE "C" NOT NULL,
  bucket BIGINT NOT NULL,
  pin TEXT COLLATE "C" NOT NULL,
  process TEXT COLLATE "C" NOT NULL,
  model TEXT COLLATE "C" NOT NULL,
  fingerprint TEXT COLLATE "C" NOT NULL,
  verdict TEXT COLLATE "C" NOT NULL,
  n BIGINT NOT NULL,
  last_at DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (env, route, bucket, pin, process, model, fingerprint, verdict)
);
CREATE INDEX served_by_time ON served (bucket);

-- How the arms of experiments and canaries did, per hour.
CREATE TABLE arms (
  env TEXT COLLATE "C" NOT NULL,
  experiment TEXT COLLATE "C" NOT NULL,
  hour BIGINT NOT NULL,
  arm TEXT COLLATE "C" NOT NULL,
  pin TEXT COLLATE "C" NOT NULL,
  measure TEXT COLLATE "C" NOT NULL,
  n BIGINT NOT NULL,
  total DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (env, experiment, hour, arm, pin, measure)
);

-- Who saw which arm first at which revision; the units are hashes.
CREATE TABLE exposures (
  env TEXT COLLATE "C" NOT NULL,
  experiment TEXT COLLATE "C" NOT NULL,
  unit TEXT COLLATE "C" NOT NULL,
  arm TEXT COLLATE "C" NOT NULL,
  pin TEXT COLLATE "C" NOT NULL,
  rev BIGINT NOT NULL,
  first_at DOUBLE PRECISION NOT NULL,
  last_at DOUBLE PRECISION NOT NULL,
  n BIGINT NOT NULL,
  PRIMARY KEY (env, experiment, unit, arm)
);
