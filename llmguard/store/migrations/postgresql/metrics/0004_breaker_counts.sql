-- What each process has seen of each version: others add the growth to their own.
CREATE TABLE breaker_counts (
  key TEXT COLLATE "C" NOT NULL,
  process TEXT COLLATE "C" NOT NULL,
  calls BIGINT NOT NULL,
  fails BIGINT NOT NULL,
  at DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (key, process)
);
CREATE INDEX breaker_counts_at ON breaker_counts (at);
