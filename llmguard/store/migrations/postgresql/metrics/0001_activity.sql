-- Counts per minute, so that "since" means something and old rows can be dropped.
CREATE TABLE activity (
  minute BIGINT NOT NULL,
  function TEXT COLLATE "C" NOT NULL,
  tier TEXT COLLATE "C" NOT NULL,
  pin TEXT COLLATE "C" NOT NULL,
  kind TEXT COLLATE "C" NOT NULL,
  n BIGINT NOT NULL,
  last_at DOUBLE PRECISION NOT NULL,
  total_elapsed DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (minute, function, tier, pin, kind)
);

CREATE TABLE processes (
  process TEXT COLLATE "C" PRIMARY KEY,
  at DOUBLE PRECISION NOT NULL,
  info TEXT NOT NULL
);
CREATE INDEX processes_at ON processes (at);
