"""TravelPlanner (Xie et al. 2024): tables, tasks and the evaluator. See docs/travelplanner.md."""
