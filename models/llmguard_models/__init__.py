"""Small embedded GGUF models for llmguard."""
