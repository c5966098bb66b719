"""The Postman collection, by newman: both services on one port, twice on the same data, and on two ports."""

from support.postman import run_collection
from support.split import http_to, two_instances


def test_the_collection_passes_on_one_port_and_again_on_the_same_data(instance):
    run_collection(instance.url)
    run_collection(instance.url)


def test_the_collection_passes_on_two_ports():
    with two_instances() as split, http_to(*split):
        auth, kv = split
        run_collection(auth.url, kv.url)
