-- Counts per minute (span 60), per hour (3600) and in all (0), exact.
CREATE TABLE counts (
  env TEXT COLLATE "C" NOT NULL,
  span BIGINT NOT NULL,
  start BIGINT NOT NULL,
  function TEXT COLLATE "C" NOT NULL,
  pin TEXT COLLATE "C" NOT NULL,
  tier TEXT COLLATE "C" NOT NULL,
  measure TEXT COLLATE "C" NOT NULL,
  label TEXT COLLATE "C" NOT NULL,
  n BIGINT NOT NULL,
  PRIMARY KEY (span, start, env, function, pin, tier, measure, label)
);

-- The last batch of each source: what is repeated is not counted twice.
CREATE TABLE count_sources (
  source TEXT COLLATE "C" PRIMARY KEY,
  number BIGINT NOT NULL,
  at DOUBLE PRECISION NOT NULL
);

-- What functions owe, for those who look from another process.
CREATE TABLE objectives (
  env TEXT COLLATE "C" NOT NULL,
  function TEXT COLLATE "C" NOT NULL,
  name TEXT COLLATE "C" NOT NULL,
  body TEXT NOT NULL,
  at DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (env, function, name)
);

-- Who says a thing that only one process should say.
CREATE TABLE claims (
  name TEXT COLLATE "C" PRIMARY KEY,
  value TEXT NOT NULL,
  at DOUBLE PRECISION NOT NULL
);
