"""The ranking of a collection's labels by suspicion: made from its stored embeddings, and kept beside them."""

from __future__ import annotations

from fashion16.encoder import EncoderCard
from fashion16.importers import Progress
from fashion16.label_issues import LabelIssues, find_label_issues
from fashion16.workspace import Workspace


def rank(workspace: Workspace, name: str, progress: Progress | None = None) -> LabelIssues:
    """Rank all labelled items of the collection by today's labels, and keep the ranking.

    Raises:
        IndexFileError: there are neither embeddings nor an index.
        DataError: there is nothing to rank.
        WorkspaceError: the folder may not be written.
    """
    digest = EncoderCard.read(workspace.encoder_folder / "encoder.json").digest
    today, embeddings, _ = workspace.labelled_embeddings(name, digest)
    issues = find_label_issues(embeddings, today, digest, progress=progress)
    issues.write(workspace.label_issues_file(name))
    return issues


def kept(workspace: Workspace, name: str) -> LabelIssues | None:
    """The ranking that was kept; None where there is none, or one of another encoder."""
    digest = EncoderCard.read(workspace.encoder_folder / "encoder.json").digest
    return LabelIssues.read(workspace.label_issues_file(name), digest)
