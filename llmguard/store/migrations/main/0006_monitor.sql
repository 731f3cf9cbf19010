-- How each version answers, frozen at its promotion...
CREATE TABLE monitor_baselines (
  env TEXT NOT NULL,
  function TEXT NOT NULL,
  pin TEXT NOT NULL,
  extractor TEXT NOT NULL,
  digest TEXT NOT NULL,
  outputs INTEGER NOT NULL,
  at REAL NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (env, function, pin)
);

-- ...the outputs of versions that have none yet, as numbers...
CREATE TABLE monitor_rows (
  env TEXT NOT NULL,
  function TEXT NOT NULL,
  pin TEXT NOT NULL,
  extractor TEXT NOT NULL,
  place INTEGER NOT NULL,
  at REAL NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (env, function, pin, place)
);

-- ...and what was seen of each version, hour by hour.
CREATE TABLE monitor_sketches (
  env TEXT NOT NULL,
  function TEXT NOT NULL,
  pin TEXT NOT NULL,
  hour INTEGER NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (env, function, pin, hour)
);
CREATE INDEX monitor_sketches_by_hour ON monitor_sketches (env, hour);
