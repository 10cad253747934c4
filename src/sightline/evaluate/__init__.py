"""How good is an answer: one evaluator for every detector."""
