"""Stages and reasons of any trace, drawn."""
