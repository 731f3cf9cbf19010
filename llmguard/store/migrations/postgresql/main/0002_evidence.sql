-- What a promotion rests on: written once, never changed, found by its digest.
CREATE TABLE evidence (
  digest TEXT COLLATE "C" PRIMARY KEY,
  kind TEXT COLLATE "C" NOT NULL,
  function TEXT COLLATE "C" NOT NULL,
  subject TEXT NOT NULL,
  pin_digest TEXT COLLATE "C" NOT NULL,
  verdict TEXT NOT NULL,
  at DOUBLE PRECISION NOT NULL,
  body TEXT NOT NULL
);

CREATE INDEX evidence_by_pin ON evidence (function, pin_digest, at);

-- Signatures come later than what they sign, and from several people.
CREATE TABLE evidence_signatures (
  digest TEXT COLLATE "C" NOT NULL REFERENCES evidence (digest),
  signer TEXT COLLATE "C" NOT NULL,
  signature TEXT NOT NULL,
  at DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (digest, signer)
);
