"""Makes small clips with planted captions, codes and speech, for the demo, the bench and the tests."""
