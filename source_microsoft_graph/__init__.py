from source_microsoft_graph.source import SourceMicrosoftGraph

__all__ = ["SourceMicrosoftGraph"]
