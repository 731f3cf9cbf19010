-- How each version answers, frozen at its promotion...
CREATE TABLE monitor_baselines (
  env TEXT COLLATE "C" NOT NULL,
  function TEXT COLLATE "C" NOT NULL,
  pin TEXT COLLATE "C" NOT NULL,
  extractor TEXT COLLATE "C" NOT NULL,
  digest TEXT COLLATE "C" NOT NULL,
  outputs BIGINT NOT NULL,
  at DOUBLE PRECISION NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (env, function, pin)
);

-- ...the outputs of versions that have none yet, as numbers...
CREATE TABLE monitor_rows (
  env TEXT COLLATE "C" NOT NULL,
  function TEXT COLLATE "C" NOT NULL,
  pin TEXT COLLATE "C" NOT NULL,
  extractor TEXT COLLATE "C" NOT NULL,
  place BIGINT NOT NULL,
  at DOUBLE PRECISION NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (env, function, pin, place)
);

-- ...and what was seen of each version, hour by hour.
CREATE TABLE monitor_sketches (
  env TEXT COLLATE "C" NOT NULL,
  function TEXT COLLATE "C" NOT NULL,
  pin TEXT COLLATE "C" NOT NULL,
  hour BIGINT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (env, function, pin, hour)
);
CREATE INDEX monitor_sketches_by_hour ON monitor_sketches (env, hour);
