"""The installed wheel with its core dependencies only: the loop, from record to recall. Run by .ci/run."""

from memp import ProceduralMemory, Step, Trajectory

with ProceduralMemory("smoke.db") as memory:
    steps = [Step(action="open cabinet 1", observation="a mug 1"), Step(action="take mug 1 from cabinet 1")]
    memory.record(Trajectory(task="fetch a mug", steps=steps, reward=1.0))
    receipt = memory.update()
    assert len(receipt.added) == 1, receipt
    recall = memory.retrieve("fetch a cup")
    assert "take mug from cabinet" in recall.render(), recall
    memory.record(Trajectory(task="fetch a cup", steps=steps, reward=0.0), recall)
    assert len(memory.update().revised) == 1
    memory.undo(recall.ranked[0].procedure.id)
    assert memory.get(recall.ranked[0].procedure.id).revision.number == 3
print("smoke: ok")
