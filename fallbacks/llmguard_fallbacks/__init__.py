"""Fallback tiers for llmguard."""
