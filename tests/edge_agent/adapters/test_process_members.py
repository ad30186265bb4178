"""In which order the processes of an instance are told to stop."""

from edge_agent.adapters.process_members import leader_first


def test_the_leader_is_told_before_its_children_whatever_their_numbers():
    assert leader_first({12, 7, 300}, 300) == [300, 7, 12]


def test_without_the_leader_the_others_are_told_all_the_same():
    assert leader_first({12, 7}, 300) == [7, 12]
