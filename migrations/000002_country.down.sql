DROP TABLE simusage.country;
