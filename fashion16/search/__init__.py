"""The method: picture, embedding, category, code, neighbours."""
