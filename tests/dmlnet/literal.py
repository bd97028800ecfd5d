"""Algorithm 1 and Eq. (1)-(6) word for word: slow, plain, and what the fast versions are held against."""

import random

import torch

from facekit.dmlnet import FaceLabels


def literal_five_tuples(labels: FaceLabels, seed: int = 0) -> list[tuple[int, ...]]:
    """Algorithm 1: for every sample of the shuffled set, look for four partners among the samples that are left."""
    faces = list(zip(labels.expression.tolist(), labels.pose.tolist(), labels.subject.tolist(), strict=True))
    left = list(range(len(faces)))
    random.Random(seed).shuffle(left)
    order, tuples = list(left), []
    for i in order:
        if i not in left:
            continue
        expression, pose, subject = faces[i]
        pose_positive = [j for j in left if faces[j][0] == expression and faces[j][1] != pose]
        pose_negative = [j for j in left if faces[j][0] != expression and faces[j][1] == pose]
        identity_positive = [j for j in left if faces[j][0] == expression and faces[j][2] != subject]
        identity_negative = [j for j in left if faces[j][0] != expression and faces[j][2] == subject]
        positives = distinct(pose_positive, identity_positive)
        negatives = distinct(pose_negative, identity_negative)
        if positives and negatives:
            tuples.append((i, positives[0], negatives[0], positives[1], negatives[1]))
            left = [j for j in left if j not in tuples[-1]]
    return tuples


def distinct(first: list[int], second: list[int]) -> tuple[int, int] | None:
    """One of each list, not the same."""
    return next(((a, b) for a in first[:2] for b in second[:2] if a != b), None)


def literal_triplet_loss(embeddings, same, labels, margin, hinge):
    """Eq. (2)-(5) for one kind of pair: ``same`` names the label that a negative shares."""
    total, anchors = torch.zeros((), dtype=embeddings.dtype), 0
    for i in range(len(embeddings)):
        positive, negative = [], []
        for j in range(len(embeddings)):
            distance = (embeddings[i] - embeddings[j]).square().sum()
            same_expression = labels.expression[i] == labels.expression[j]
            same_factor = getattr(labels, same)[i] == getattr(labels, same)[j]
            if same_expression and not same_factor:
                positive.append(distance)
            if not same_expression and same_factor:
                negative.append(distance)
        if positive and negative:
            anchors += 1
            term = margin + torch.stack(positive).max() - torch.stack(negative).min()
            total = total + (term.clamp(min=0) if hinge else term)
    return total, anchors
