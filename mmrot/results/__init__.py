"""Published results, records of measured results, and tables of both."""

from .constant_answers import constant_answers
from .data_name import data_name
from .environment import environment
from .published import published_table, published_tables
from .record import Record, read_records, write_records
from .table import ResultTable, format_mean, print_tables, result_tables, write_results

__all__ = [
    'Record',
    'ResultTable',
    'constant_answers',
    'data_name',
    'environment',
    'format_mean',
    'print_tables',
    'published_table',
    'published_tables',
    'read_records',
    'result_tables',
    'write_records',
    'write_results',
]
