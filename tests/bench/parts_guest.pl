#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0-or-later
# What a guest of tests/bench/parts does: a program that loads libraries and keeps an index of texts,
# as "web" or as "db". Two guests that run the same one hold the same data, at addresses and in an
# order of their own. Says "mb: ready", and stays.
# usage: parts_guest.pl web|db
use strict;
use warnings;

my %libraries = (
	web => [qw(POSIX Encode HTTP::Tiny JSON::PP MIME::Base64 Digest::SHA Text::Wrap CPAN::Meta)],
	db => [qw(POSIX Encode Math::BigInt Storable Time::Local File::Find Tie::File Pod::Usage)],
);
my %texts = (web => [qw(CPAN HTTP IO Module)], db => [qw(CPAN Math Pod TAP)]);
my ($what) = @ARGV;
my (%index, @lines);

$| = 1;

for my $library (@{ $libraries{$what} }) {
	eval "require $library; 1" or die "mb: $library: $@";
}
for my $folder (map { "/usr/share/perl/5.36.0/$_" } @{ $texts{$what} }) {
	for my $file (sort glob("$folder/*.pm $folder/*/*.pm")) {
		open(my $in, '<', $file) or die "mb: $file: $!";
		while (<$in>) {
			push @lines, $_;
			push @{ $index{$_} }, $#lines for /(\w+)/g;
		}
	}
}
printf "mb: ready, %d lines, %d words\n", scalar(@lines), scalar(keys %index);
sleep 3600 while 1;
