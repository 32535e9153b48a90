"""Many runs of one question: what is varied, how it is spread over workers, what came out."""
