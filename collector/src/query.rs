//! Answers questions from the store: the service graph and traffic over time.
